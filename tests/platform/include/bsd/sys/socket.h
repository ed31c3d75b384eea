// SPDX-License-Identifier: BSD-3-Clause
// socket(2), recvmsg(2), sendmsg(2): without Linux's recvmmsg and sendmmsg, whose types differ.
#pragma once
#define mmsghdr linux_mmsghdr
#define recvmmsg linux_recvmmsg
#define sendmmsg linux_sendmmsg
#include_next <sys/socket.h>
#undef mmsghdr
#undef recvmmsg
#undef sendmmsg
#define AF_LINK 18
#define PF_LINK AF_LINK
#undef AF_ROUTE
#undef PF_ROUTE
#undef AF_NETLINK
#undef AF_PACKET
#undef SO_BINDTODEVICE
#undef SOL_NETLINK
#include <bits/system_socket.h>
