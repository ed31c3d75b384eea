// SPDX-License-Identifier: BSD-3-Clause
// The numbers of Darwin's address families.
#pragma once
#undef AF_INET6
#define AF_INET6 30
#define AF_ROUTE 17
#define PF_ROUTE AF_ROUTE
