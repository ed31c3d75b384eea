// SPDX-License-Identifier: BSD-3-Clause
// dyld(3).
#pragma once
#include <stdint.h>
extern "C" int _NSGetExecutablePath(char*, uint32_t*);
