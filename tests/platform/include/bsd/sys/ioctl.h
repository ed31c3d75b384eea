// SPDX-License-Identifier: BSD-3-Clause
// ioctl(2), netintro(4): interfaces are cloned.
#pragma once
#include_next <sys/ioctl.h>
#define SIOCIFCREATE 0x8020697aUL
#define SIOCIFDESTROY 0x80206979UL
#undef SIOCSIFNAME
#undef SIOCGIFINDEX
