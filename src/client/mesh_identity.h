// SPDX-License-Identifier: BSD-3-Clause
// Who this machine is in its mesh: what `sixlink join` left in <state_dir>/mesh, and what a renewal replaces.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/client/mesh_config.h"
#include "src/mesh/parameters.h"
#include "src/pki/certificate.h"
#include "src/pki/private_key.h"
#include "src/pki/trust_anchor.h"
#include "src/pki/wireguard_key.h"

namespace sixlink::client {

using mesh::WallTime;

// Moves.
struct MeshIdentity {
  std::vector<pki::Certificate> joined_with;  // ca.pem: for mesh::anchor_of()
  pki::TrustAnchor anchor;                    // of these alone
  pki::Certificate certificate;
  pki::PrivateKey key;
  pki::WireguardKeyPair wireguard;
  std::vector<std::uint8_t> parameters;  // as signed, not yet checked; empty: there are none yet
  // Of IPv4 inside, where the network has that. The node's address is the first one in it.
  std::optional<net::PrefixV4> prefix_v4;
};

struct LoadedMeshIdentity {
  std::optional<MeshIdentity> identity;  // or
  std::string problem;                   // what is missing or wrong, and what to do
};
// The WireGuard key is made where there is none. The files must belong together: the certificate to the key
// and to the authority. What the time is does not matter here (a clock may be set later):
// certificate_warning().
LoadedMeshIdentity load_mesh_identity(const MeshConfig& config);

// The most that is read of each file; also what the registry may send.
inline constexpr std::size_t kMostAuthorities = pki::TrustAnchor::kMostAuthorities;

struct LoadedAuthorities {
  std::vector<pki::Certificate> authorities;  // none: see `problem`
  std::string problem;
  bool is_missing = false;  // there is no such file
};
LoadedAuthorities load_authorities(const std::string& path);
// The same of a text. `origin`: "/var/lib/sixlink/mesh/ca.pem", "the registry's answer".
LoadedAuthorities read_authorities(std::string_view pem, const std::string& origin);
std::string to_pem(const std::vector<pki::Certificate>& certificates);

// Its line of prefix_v4, which is removed without one. Empty: done.
std::string store_prefix_v4(const MeshConfig& config, const std::optional<net::PrefixV4>& prefix);

// Why a certificate is not that of this key in this network; empty: it is. At whatever time within its own.
std::string certificate_problem(const pki::Certificate& certificate, const pki::PrivateKey& key,
                                const pki::TrustAnchor& anchor);

// A certificate is renewed so long before it expires; a shorter one after two thirds of its time.
inline constexpr std::chrono::hours kRenewalAhead{24 * 30};
WallTime renewal_time(const pki::Certificate& certificate);
// For status and log: "expired on ...", "expires on ... and could not be renewed". Empty: all is well.
std::string certificate_warning(const pki::Certificate& certificate, WallTime now);

// "2026-11-22" in UTC, and "2026-11-22T18:30:00Z".
std::string utc_date(WallTime time);
std::string utc_time(WallTime time);

}  // namespace sixlink::client
