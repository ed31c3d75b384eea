// SPDX-License-Identifier: BSD-3-Clause
// The numbers of NetBSD's address families.
#pragma once
#undef AF_INET6
#define AF_INET6 24
#define AF_ROUTE 34
#define PF_ROUTE AF_ROUTE
struct mmsghdr {
  struct msghdr msg_hdr;
  unsigned int msg_len;
};
extern "C" int recvmmsg(int, struct mmsghdr*, unsigned int, unsigned int, struct timespec*);
extern "C" int sendmmsg(int, struct mmsghdr*, unsigned int, unsigned int);
#define SO_RERROR 0x4000
