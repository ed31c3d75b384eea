// SPDX-License-Identifier: BSD-3-Clause
// ip(4P), ip6(4P): IP_BOUND_IF, IPV6_BOUND_IF.
#pragma once
#include_next <netinet/in.h>
#define IP_BOUND_IF 0x41
#define IPV6_BOUND_IF 0x41
#define IP_DONTFRAG 0x1b
#undef IP_MTU_DISCOVER
#undef IP_MTU
#undef IP_RECVERR
