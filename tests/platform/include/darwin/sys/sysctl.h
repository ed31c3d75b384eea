// SPDX-License-Identifier: BSD-3-Clause
// sysctl(3).
#pragma once
#include <stddef.h>
#include <sys/types.h>
#define CTL_NET 4
extern "C" int sysctl(int* name, u_int count, void* old, size_t* old_size, void* fresh, size_t size);
