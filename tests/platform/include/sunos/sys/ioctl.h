// SPDX-License-Identifier: BSD-3-Clause
// ioctl(2): the request is an int.
#pragma once
#define ioctl linux_ioctl
#include_next <sys/ioctl.h>
#undef ioctl
extern "C" int ioctl(int, int, ...);
#undef SIOCGIFMTU
#undef SIOCSIFMTU
