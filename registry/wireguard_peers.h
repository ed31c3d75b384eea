// SPDX-License-Identifier: BSD-3-Clause
// How the peers of WireGuard tunnels fare, whoever moves their packets.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "registry/store/store.h"

namespace sixlink::registry {

struct WireguardPeer {
  std::string endpoint;  // empty: not known yet
  std::optional<std::chrono::system_clock::time_point> latest_handshake;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
};
using WireguardPeers = std::map<pki::WireguardKey, WireguardPeer>;

// What the tunnel's client may send from, and is sent to.
std::vector<net::Prefix> allowed_of(const Lease& lease);

}  // namespace sixlink::registry
