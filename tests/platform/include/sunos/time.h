// SPDX-License-Identifier: BSD-3-Clause
// clock_gettime(2) of SunOS.
#pragma once
#include_next <time.h>
#undef CLOCK_BOOTTIME
#undef CLOCK_MONOTONIC_RAW
#undef CLOCK_REALTIME_COARSE
#undef CLOCK_MONOTONIC_COARSE
#define CLOCK_HIGHRES CLOCK_MONOTONIC
