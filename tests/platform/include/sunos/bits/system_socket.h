// SPDX-License-Identifier: BSD-3-Clause
// The numbers of SunOS's address families.
#pragma once
#undef AF_INET6
#define AF_INET6 26
#define AF_ROUTE 24
#define PF_ROUTE AF_ROUTE
