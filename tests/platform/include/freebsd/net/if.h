// SPDX-License-Identifier: BSD-3-Clause
// netintro(4): an interface can be renamed.
#pragma once
#include_next <net/if.h>
#include <sys/ioctl.h>
#define SIOCSIFNAME 0x80206928UL
