// SPDX-License-Identifier: BSD-3-Clause
// route(4).
#pragma once
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#define RTM_VERSION 3
#define RTM_ADD 0x1
#define RTM_DELETE 0x2
#define RTM_CHANGE 0x3
#define RTM_NEWADDR 0xc
#define RTM_DELADDR 0xd
#define RTM_IFINFO 0xe
#define RTM_CHGADDR 0xf
#define RTM_FREEADDR 0x10
struct rt_metrics {
  uint32_t rmx_numbers[10];
};
struct rt_msghdr {
  unsigned short rtm_msglen;
  unsigned char rtm_version;
  unsigned char rtm_type;
  unsigned short rtm_index;
  int rtm_flags;
  int rtm_addrs;
  pid_t rtm_pid;
  int rtm_seq;
  int rtm_errno;
  int rtm_use;
  unsigned int rtm_inits;
  struct rt_metrics rtm_rmx;
};
// As the real structure is on a 64-bit machine.
static_assert(sizeof(struct rt_msghdr) == 0x4c);
