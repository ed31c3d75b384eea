// SPDX-License-Identifier: BSD-3-Clause
// sysctl(3).
#pragma once
#include <stddef.h>
#include <sys/types.h>
#define CTL_KERN 1
#define CTL_NET 4
#include <bits/system_sysctl.h>
extern "C" int sysctl(const int* name, u_int count, void* old, size_t* old_size, const void* fresh,
                      size_t size);
