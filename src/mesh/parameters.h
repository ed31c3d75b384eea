// SPDX-License-Identifier: BSD-3-Clause
// The network's parameters: one document, numbered, signed by an authority of the network and handed on from
// node to node. man/sixlink-tsp.7, "Parameters".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/net/prefix.h"
#include "src/pki/authority.h"
#include "src/pki/certificate.h"
#include "src/pki/trust_anchor.h"

namespace sixlink::mesh {

using pki::WallTime;

// Defaults and bounds are in the table of parameters.cc.
struct NetworkParameters {
  static constexpr std::size_t kMostRevoked = 2000;
  static constexpr std::size_t kLargest = 60000;  // of the text: signed it stays below pki::kLargestSigned

  std::uint64_t version = 0;  // the greater one counts
  net::Prefix network;
  std::optional<net::PrefixV4> network_v4;
  std::chrono::seconds hello_interval{4};      // of Babel, on links
  int client_count = 10;                       // links that a node begins
  std::chrono::seconds tunnel_refresh{300};    // after so long the least useful of them is replaced
  std::set<std::string, std::less<>> revoked;  // serial numbers, as Certificate::serial()
  // Whose certificates are good, besides those that a node joined with: the next authority, before it issues
  // any.
  std::vector<pki::Certificate> authorities;

  friend bool operator==(const NetworkParameters&, const NetworkParameters&) = default;
};

std::string to_xml(const NetworkParameters& parameters);

struct ParsedParameters {
  std::optional<NetworkParameters> parameters;  // or
  std::string problem;                          // "the network's parameters have ..."
};
ParsedParameters parse_parameters(std::string_view xml);

// Empty: more than fits, or OpenSSL failed.
std::vector<std::uint8_t> sign_parameters(const NetworkParameters& parameters,
                                          const pki::Authority& authority);

// Hostile bytes. Only what an authority of the anchor signed that is valid at `now`, for its own network.
ParsedParameters open_parameters(std::span<const std::uint8_t> der, const pki::TrustAnchor& anchor,
                                 WallTime now);

// Whom a node that has these believes: those that it joined with, and the document's. Those that have expired
// are left out, unless none would be left.
pki::TrustAnchor anchor_of(const std::vector<pki::Certificate>& joined_with,
                           const NetworkParameters& parameters, WallTime now);

}  // namespace sixlink::mesh
