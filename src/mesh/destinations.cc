// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/destinations.h"

#include <algorithm>

namespace sixlink::mesh {

void Destinations::replace(std::span<const Reached> reached, const net::Prefix& own) {
  nodes_.clear();
  nodes_.reserve(reached.size());
  bool is_sorted = true;
  for (const auto& one : reached) {
    if (one.node == own) continue;
    const PackedPrefix packed(one.node);
    is_sorted = is_sorted && (nodes_.empty() || nodes_.back() < packed);
    nodes_.push_back(packed);
  }
  if (!is_sorted) {
    std::ranges::sort(nodes_);
    nodes_.erase(std::unique(nodes_.begin(), nodes_.end()), nodes_.end());
  }
}

bool Destinations::contains(const net::Prefix& node) const {
  return std::ranges::binary_search(nodes_, PackedPrefix(node));
}

}  // namespace sixlink::mesh
