// SPDX-License-Identifier: BSD-3-Clause
// ip(4): IP_RECVDSTADDR and IP_SENDSRCADDR; no struct in_pktinfo.
#pragma once
#define in_pktinfo linux_in_pktinfo
#include_next <netinet/in.h>
#undef in_pktinfo
#undef IP_PKTINFO
#undef IP_MTU_DISCOVER
#undef IP_MTU
#undef IP_RECVERR
#undef IPV6_MTU_DISCOVER
#define IP_RECVDSTADDR 7
#define IP_SENDSRCADDR IP_RECVDSTADDR
