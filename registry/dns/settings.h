// SPDX-License-Identifier: BSD-3-Clause
// What the configuration says of DNS. Every name is checked and in its canonical form (zone_names.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace sixlink::registry::dns {

inline constexpr std::uint16_t kDnsPort = 53;

struct Settings {
  std::string update_server;  // dns_update_server=, a name or address; empty: nothing is published
  std::uint16_t update_port = kDnsPort;
  std::string update_key;                  // dns_update_key=, a file
  std::vector<std::string> reverse_zones;  // reverse_zone=; default: the zones of prefix=
  std::string user_domain;                 // user_domain=; empty: users get no names
  std::string user_zone;                   // user_zone=, user_domain= or above it
  std::chrono::seconds ttl{600};           // dns_ttl=

  bool publishes() const { return !update_server.empty(); }
};

}  // namespace sixlink::registry::dns
