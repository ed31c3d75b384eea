// SPDX-License-Identifier: BSD-3-Clause
// Who is linked with whom, in one piece of memory, and what is asked of it: components, hops, shortest paths.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace sixlink::sim {

class Graph {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  // Costs are from kLeastCost to kMostCost.
  static constexpr std::uint32_t kLeastCost = 64;
  static constexpr std::uint32_t kMostCost = 60000;

  struct Edge {
    std::uint32_t to = 0;
    std::uint32_t cost = kLeastCost;
    std::uint64_t link = 0;  // whatever names it at its origin
  };

  // Edges of node 0 first, then those of 1, ...
  void clear();
  void add(const Edge& edge) { edges_.push_back(edge); }
  void end_node() { first_.push_back(static_cast<std::uint32_t>(edges_.size())); }

  std::size_t size() const { return first_.size() - 1; }
  std::size_t edge_count() const { return edges_.size(); }
  std::span<const Edge> edges(std::uint32_t node) const {
    return {edges_.data() + first_[node], edges_.data() + first_[node + 1]};
  }

  // A number for each node, the same within a component.
  std::vector<std::uint32_t> components() const;
  // kNone where there is no path.
  std::vector<std::uint32_t> hops(std::uint32_t from) const;

  struct Tree {
    std::vector<std::uint32_t> cost;    // kNone: not reached
    std::vector<std::uint32_t> parent;  // the node before, on the way from the root
    std::vector<std::uint64_t> link;    // the root's link on the way
    std::vector<std::uint32_t> order;   // the nodes as they were reached, the root first
    // For the search; empty after it.
    std::vector<std::vector<std::pair<std::uint32_t, std::uint32_t>>> buckets;  // cost, node
  };
  // Exact: buckets as wide as the least cost (R. Dial, "Algorithm 360", CACM 12(11), 1969; E. Denardo and
  // B. Fox, "Shortest-Route Methods: 1", Operations Research 27(1), 1979). `tree` is used again.
  void shortest(std::uint32_t root, Tree& tree) const;

 private:
  std::vector<std::uint32_t> first_{0};
  std::vector<Edge> edges_;
};

}  // namespace sixlink::sim
