// SPDX-License-Identifier: BSD-3-Clause
// The numbers of OpenBSD's address families.
#pragma once
#undef AF_INET6
#define AF_INET6 24
#define AF_ROUTE 17
#define PF_ROUTE AF_ROUTE
struct mmsghdr {
  struct msghdr msg_hdr;
  unsigned int msg_len;
};
extern "C" int recvmmsg(int, struct mmsghdr*, unsigned int, int, struct timespec*);
extern "C" int sendmmsg(int, struct mmsghdr*, unsigned int, int);
