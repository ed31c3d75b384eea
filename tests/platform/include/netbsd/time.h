// SPDX-License-Identifier: BSD-3-Clause
// clock_gettime(2) of NetBSD.
#pragma once
#include_next <time.h>
#undef CLOCK_BOOTTIME
#undef CLOCK_MONOTONIC_RAW
#undef CLOCK_REALTIME_COARSE
#undef CLOCK_MONOTONIC_COARSE
