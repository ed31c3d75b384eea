// SPDX-License-Identifier: BSD-3-Clause
#pragma once
#define TARGET_OS_MAC 1
#define TARGET_OS_IPHONE 0
