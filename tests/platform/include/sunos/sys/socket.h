// SPDX-License-Identifier: BSD-3-Clause
// socket(3SOCKET): no recvmmsg.
#pragma once
#define mmsghdr linux_mmsghdr
#define recvmmsg linux_recvmmsg
#define sendmmsg linux_sendmmsg
#include_next <sys/socket.h>
#undef mmsghdr
#undef recvmmsg
#undef sendmmsg
#define AF_LINK 25
#undef AF_ROUTE
#undef PF_ROUTE
#undef AF_NETLINK
#undef AF_PACKET
#undef SO_BINDTODEVICE
#include <bits/system_socket.h>
