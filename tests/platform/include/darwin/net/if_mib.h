// SPDX-License-Identifier: BSD-3-Clause
// The interface MIB: net.link.generic.
#pragma once
#include <stdint.h>
#define NETLINK_GENERIC 0
#define IFMIB_IFDATA 2
#define IFDATA_GENERAL 1
#pragma pack(4)
struct if_data64 {
  unsigned char ifi_type[8];
  uint32_t ifi_mtu;
  uint32_t ifi_metric;
  uint64_t ifi_baudrate;
  uint64_t ifi_ipackets;
  uint64_t ifi_ierrors;
  uint64_t ifi_opackets;
  uint64_t ifi_oerrors;
  uint64_t ifi_collisions;
  uint64_t ifi_ibytes;
  uint64_t ifi_obytes;
};
struct ifmibdata {
  char ifmd_name[16];
  unsigned int ifmd_numbers[9];
  struct if_data64 ifmd_data;
};
#pragma pack()
