// SPDX-License-Identifier: BSD-3-Clause
// IP_BOUND_IF, IPV6_BOUND_IF.
#pragma once
#include_next <netinet/in.h>
#define IP_BOUND_IF 25
#define IPV6_BOUND_IF 125
#define IP_DONTFRAG 28
#undef IP_MTU_DISCOVER
#undef IP_MTU
#undef IP_RECVERR
