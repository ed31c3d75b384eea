// SPDX-License-Identifier: BSD-3-Clause
// if(4P), if_tcp(4P): struct lifreq.
#pragma once
#include_next <net/if.h>
#include <stdint.h>
#include <sys/socket.h>
#define LIFNAMSIZ 32
#define IFF_IPV4 0x01000000
#define IFF_IPV6 0x02000000
struct lifreq {
  char lifr_name[LIFNAMSIZ];
  union {
    int lifru_addrlen;
    unsigned int lifru_ppa;
  } lifr_lifru1;
#define lifr_ppa lifr_lifru1.lifru_ppa
  unsigned int lifr_type;
  union {
    struct sockaddr_storage lifru_addr;
    uint64_t lifru_flags;
    unsigned int lifru_mtu;
  } lifr_lifru;
#define lifr_flags lifr_lifru.lifru_flags
#define lifr_mtu lifr_lifru.lifru_mtu
};
