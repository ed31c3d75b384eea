// SPDX-License-Identifier: BSD-3-Clause
// The Universal TUN/TAP driver.
#pragma once
#define TUNNEWPPA (('T' << 16) | 0x0001)
