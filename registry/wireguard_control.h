// SPDX-License-Identifier: BSD-3-Clause
// What the peer commands and the running registry say to each other over the control socket.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "registry/lease/lease_book.h"
#include "registry/wireguard_peers.h"

namespace sixlink::registry {

// "peers", "peer put NAME KEY", "peer delete NAME".
struct PeerRequest {
  enum class Kind { kList, kPut, kDelete };
  Kind kind = Kind::kList;
  std::string user;
  std::optional<pki::WireguardKey> key;  // kPut
};
std::string to_string(const PeerRequest& request);
std::optional<PeerRequest> parse_peer_request(std::string_view text);

std::string peers_to_json(const WireguardPeers& peers);
// nullopt: not an answer to "peers".
std::optional<WireguardPeers> parse_peers(std::string_view json);

}  // namespace sixlink::registry
