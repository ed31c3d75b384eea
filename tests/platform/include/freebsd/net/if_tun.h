// SPDX-License-Identifier: BSD-3-Clause
// tun(4).
#pragma once
#include <sys/ioctl.h>
#define TUNSIFMODE _IOW('t', 94, int)
#define TUNSIFPID _IO('t', 95)
#define TUNSIFHEAD _IOW('t', 96, int)
#define TUNSTRANSIENT _IOW('t', 98, int)
