// SPDX-License-Identifier: BSD-3-Clause
// GCC's stddef.h includes it on NetBSD, and takes its types from it.
#pragma once
#define _BSD_SIZE_T_ unsigned long
#define _BSD_PTRDIFF_T_ long
#define _BSD_WCHAR_T_ int
