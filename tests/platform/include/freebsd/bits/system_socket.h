// SPDX-License-Identifier: BSD-3-Clause
// The numbers of FreeBSD's address families.
#pragma once
#undef AF_INET6
#define AF_INET6 28
#define AF_ROUTE 17
#define PF_ROUTE AF_ROUTE
struct mmsghdr {
  struct msghdr msg_hdr;
  ssize_t msg_len;
};
extern "C" ssize_t recvmmsg(int, struct mmsghdr*, size_t, int, const struct timespec*);
extern "C" ssize_t sendmmsg(int, struct mmsghdr*, size_t, int);
#define SO_RERROR 0x20000
