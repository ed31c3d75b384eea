// SPDX-License-Identifier: BSD-3-Clause
// Which prefixes of the mesh are whose. The database says; this keeps the free ones at hand, and reads them
// again when another registry has changed them.
#pragma once

#include <optional>

#include "registry/ca/database.h"
#include "registry/lease/prefix_pool.h"
#include "src/net/prefix.h"

namespace sixlink::registry {

// IPv4 inside of the mesh: each node has a prefix of this length.
struct NetworkV4 {
  net::PrefixV4 network;
  int length = 32;

  // A node's prefix is of this network, and not all of it.
  bool covers(const net::PrefixV4& prefix) const {
    return prefix.length > network.length && network.contains(prefix.address);
  }

  friend bool operator==(const NetworkV4&, const NetworkV4&) = default;
};

class PrefixBook {
 public:
  static constexpr int kLongest = 64;  // of IPv6

  PrefixBook(const net::Prefix& network, const std::optional<NetworkV4>& network_v4);

  // All within a transaction that is open, and true only if it commits: call forget() when it does not.
  struct Taken {
    net::Prefix prefix;
    std::optional<net::PrefixV4> prefix_v4;
  };
  // Buddy-wise: the lowest block of the smallest size that is left, never the network's own first /64. IPv4
  // is left out when there is none left. nullopt: no block of that length is left.
  std::optional<Taken> take(Database& database, int length);
  // The node's row is to be deleted by the caller.
  void give_back(Database& database, const net::Prefix& prefix,
                 const std::optional<net::PrefixV4>& prefix_v4);
  // IPv4 for a node that has none of the network: the prefix that it had before, if that is one. nullopt:
  // none is left, or another registry with the same database knows of another network.
  std::optional<net::PrefixV4> take_v4(Database& database, const net::Prefix& node);
  // That node has another one now, and may have this one again until then.
  void retire_v4(Database& database, const net::PrefixV4& prefix_v4, const net::Prefix& node,
                 std::int64_t until);
  // Those whose time is over.
  void free_retired_v4(Database& database, std::int64_t now);
  void forget() { revision_ = -1; }

 private:
  void load(Database& database);
  void changed(Database& database);

  net::Prefix network_;
  std::optional<NetworkV4> network_v4_;
  PrefixPool pool_;
  std::optional<PrefixPool> pool_v4_;
  std::int64_t revision_ = -1;  // of what the pools hold; -1: nothing
};

}  // namespace sixlink::registry
