// SPDX-License-Identifier: BSD-3-Clause
#pragma once
#define UTUN_CONTROL_NAME "com.apple.net.utun_control"
#define UTUN_OPT_IFNAME 2
