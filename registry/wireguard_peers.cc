// SPDX-License-Identifier: BSD-3-Clause
// How the peers of WireGuard tunnels fare.
#include "registry/wireguard_peers.h"

namespace sixlink::registry {

std::vector<net::Prefix> allowed_of(const Lease& lease) {
  std::vector<net::Prefix> allowed{{lease.address, 128}};
  if (lease.prefix) allowed.push_back(*lease.prefix);
  if (lease.address_v4) allowed.push_back(net::v4_mapped({*lease.address_v4, 32}));
  return allowed;
}

}  // namespace sixlink::registry
