// SPDX-License-Identifier: BSD-3-Clause
// A user's tunnel as a file of wg-quick(8), which phones and routers read too, and that file as a QR code.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "registry/config.h"
#include "src/pki/secret.h"
#include "src/pki/wireguard_key.h"

namespace sixlink::registry {

// Where exported peers are to send, "broker.example.net:3653"; empty: not known, and `problem` says what to
// configure.
std::string export_endpoint(const Config& config, std::string& problem);

struct ExportedPeer {
  Lease lease;
  pki::WireguardKey server_key;
  std::string endpoint;
  bool routes_all_v4 = false;  // --ipv4: all IPv4 through the tunnel, not the broker's own alone
};
// Holds the private key.
pki::Secret wg_quick_text(const Config& config, const ExportedPeer& peer, const pki::WireguardKeyPair& key);

// For a terminal that shows UTF-8 and colours: black on white whatever its own are. nullopt: the text is too
// long for a QR code.
std::optional<pki::Secret> qr_text(std::string_view text);

}  // namespace sixlink::registry
