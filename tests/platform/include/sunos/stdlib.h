// SPDX-License-Identifier: BSD-3-Clause
// getexecname(3C).
#pragma once
#include_next <stdlib.h>
extern "C" const char* getexecname(void);
