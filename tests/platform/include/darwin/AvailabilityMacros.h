// SPDX-License-Identifier: BSD-3-Clause
#pragma once
#define MAC_OS_X_VERSION_MIN_REQUIRED 130000
