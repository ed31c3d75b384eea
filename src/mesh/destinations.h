// SPDX-License-Identifier: BSD-3-Clause
// The nodes that the routing table knows: 17 bytes for each.
#pragma once

#include <span>
#include <vector>

#include "src/mesh/node.h"
#include "src/mesh/packed_prefix.h"

namespace sixlink::mesh {

class Destinations {
 public:
  // All that there are, without `own`. Sorts them.
  void replace(std::span<const Reached> reached, const net::Prefix& own);
  bool contains(const net::Prefix& node) const;
  std::size_t size() const { return nodes_.size(); }
  net::Prefix at(std::size_t i) const { return nodes_[i].unpacked(); }

 private:
  std::vector<PackedPrefix> nodes_;
};

}  // namespace sixlink::mesh
