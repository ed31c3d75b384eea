// SPDX-License-Identifier: BSD-3-Clause
// tun(4).
#pragma once
#include <sys/ioctl.h>
#define TUNSIFMODE _IOW('t', 88, int)
#define TUNSIFHEAD _IOW('t', 66, int)
