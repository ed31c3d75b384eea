// SPDX-License-Identifier: BSD-3-Clause
// GCC's stddef.h includes it on FreeBSD.
#pragma once
#include <bits/types.h>
