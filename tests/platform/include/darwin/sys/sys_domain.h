// SPDX-License-Identifier: BSD-3-Clause
#pragma once
#define SYSPROTO_CONTROL 2
#define AF_SYS_CONTROL 2
