// SPDX-License-Identifier: BSD-3-Clause
// netintro(4), getifaddrs(3): struct if_data behind AF_LINK entries.
#pragma once
#include_next <net/if.h>
#include <stdint.h>
struct if_data {
  uint64_t ifi_mtu;
  uint64_t ifi_ipackets;
  uint64_t ifi_opackets;
  uint64_t ifi_ibytes;
  uint64_t ifi_obytes;
};
