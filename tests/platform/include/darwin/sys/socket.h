// SPDX-License-Identifier: BSD-3-Clause
// socket(2): no recvmmsg, no SOCK_CLOEXEC and SOCK_NONBLOCK, no accept4.
#pragma once
#define mmsghdr linux_mmsghdr
#define recvmmsg linux_recvmmsg
#define sendmmsg linux_sendmmsg
#define accept4 linux_accept4
#include_next <sys/socket.h>
#undef mmsghdr
#undef recvmmsg
#undef sendmmsg
#undef accept4
#define SOCK_CLOEXEC not_on_darwin_SOCK_CLOEXEC
#define SOCK_NONBLOCK not_on_darwin_SOCK_NONBLOCK
#define AF_LINK 18
#define PF_LINK AF_LINK
#define AF_SYSTEM 32
#define PF_SYSTEM AF_SYSTEM
#undef AF_ROUTE
#undef PF_ROUTE
#undef AF_NETLINK
#undef AF_PACKET
#undef SO_BINDTODEVICE
#define SO_NOSIGPIPE 0x1022
#include <bits/system_socket.h>
