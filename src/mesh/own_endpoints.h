// SPDX-License-Identifier: BSD-3-Clause
// Where a node itself can be reached: what the edge found out, and where peers see it; and what both together
// say of the NAT between (RFC 4787 section 4.1).
#pragma once

#include <span>
#include <vector>

#include "src/mesh/node.h"

namespace sixlink::mesh {

class OwnEndpoints {
 public:
  static constexpr std::size_t kMostObservers = 16;

  // All that the edge knows; the best first.
  void set_given(std::vector<ContactEndpoint> given);
  // A peer, that is at `observer`, sees us there. One word of each peer, the last one. Lies can only add an
  // endpoint that nobody answers at, as more of them must agree than say otherwise.
  void observe(const boost::asio::ip::address& observer, const Endpoint& seen);
  // The network below is another one.
  void forget_observed();

  const std::vector<ContactEndpoint>& list() const { return list_; }
  NatKind nat() const { return nat_; }
  // An endpoint that somebody may reach without hole punching.
  bool is_reachable() const;
  bool has(const Endpoint& endpoint) const;

 private:
  struct Observation {
    boost::asio::ip::address observer;
    Endpoint seen;
  };
  std::optional<Endpoint> most_seen(bool is_v4) const;
  std::vector<ContactEndpoint> find_list() const;
  NatKind find_nat() const;
  void look();

  std::vector<ContactEndpoint> given_;
  std::vector<Observation> observations_;  // the oldest first
  // What follows from these: asked for each contact that is looked at.
  std::vector<ContactEndpoint> list_;
  NatKind nat_ = NatKind::kUnknown;
};

}  // namespace sixlink::mesh
