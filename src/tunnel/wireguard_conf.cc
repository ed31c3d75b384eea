// SPDX-License-Identifier: BSD-3-Clause
// The text that wg(8) reads.
#include "src/tunnel/wireguard_conf.h"

#include "src/net/outer_address.h"

namespace sixlink::tunnel {

pki::Secret wireguard_conf(const pki::WireguardKeyPair& key, const TunnelParameters& parameters) {
  std::string allowed;
  for (const auto& prefix : allowed_of(parameters)) {
    const auto v4 = net::unmapped(prefix);
    allowed += (allowed.empty() ? "" : ", ") + (v4 ? v4->to_string() : prefix.to_string());
  }
  const auto secret = key.private_text();
  // In one piece: a string that grows leaves its text behind.
  std::string text;
  text.reserve(512 + allowed.size());
  text.append("[Interface]\nPrivateKey = ").append(secret.reveal()).append("\n\n[Peer]\nPublicKey = ");
  text.append(parameters.wireguard->key.to_string()).append("\nEndpoint = ");
  text.append(net::endpoint_text(parameters.server_outer, parameters.server_port)).append("\nAllowedIPs = ");
  text.append(allowed).append("\n");
  pki::Secret result(text);
  pki::wipe(text);
  return result;
}

}  // namespace sixlink::tunnel
