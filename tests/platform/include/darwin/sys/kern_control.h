// SPDX-License-Identifier: BSD-3-Clause
#pragma once
#include <stdint.h>
#include <sys/ioctl.h>
struct ctl_info {
  uint32_t ctl_id;
  char ctl_name[96];
};
struct sockaddr_ctl {
  unsigned char sc_len;
  unsigned char sc_family;
  uint16_t ss_sysaddr;
  uint32_t sc_id;
  uint32_t sc_unit;
  uint32_t sc_reserved[5];
};
#define CTLIOCGINFO _IOWR('N', 3, struct ctl_info)
