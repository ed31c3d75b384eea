// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/graph.h"

#include <algorithm>

namespace sixlink::sim {

void Graph::clear() {
  first_.assign(1, 0);
  edges_.clear();
}

std::vector<std::uint32_t> Graph::components() const {
  std::vector<std::uint32_t> component(size(), kNone);
  std::vector<std::uint32_t> open;
  for (std::uint32_t node = 0; node < size(); ++node) {
    if (component[node] != kNone) continue;
    component[node] = node;
    open.push_back(node);
    while (!open.empty()) {
      const auto here = open.back();
      open.pop_back();
      for (const auto& edge : edges(here)) {
        if (component[edge.to] != kNone) continue;
        component[edge.to] = node;
        open.push_back(edge.to);
      }
    }
  }
  return component;
}

std::vector<std::uint32_t> Graph::hops(std::uint32_t from) const {
  std::vector<std::uint32_t> hops(size(), kNone);
  std::vector<std::uint32_t> open{from};
  hops[from] = 0;
  for (std::size_t next = 0; next < open.size(); ++next) {
    for (const auto& edge : edges(open[next])) {
      if (hops[edge.to] != kNone) continue;
      hops[edge.to] = hops[open[next]] + 1;
      open.push_back(edge.to);
    }
  }
  return hops;
}

void Graph::shortest(std::uint32_t root, Tree& tree) const {
  constexpr std::size_t kBuckets = kMostCost / kLeastCost + 2;
  auto& buckets = tree.buckets;
  buckets.resize(kBuckets);
  tree.cost.assign(size(), kNone);
  tree.parent.assign(size(), kNone);
  tree.link.assign(size(), 0);
  tree.order.clear();
  tree.cost[root] = 0;
  buckets[0].emplace_back(0, root);
  std::size_t pending = 1;
  for (std::size_t turn = 0; pending > 0; ++turn) {
    auto& bucket = buckets[turn % kBuckets];
    // No edge is shorter than the bucket is wide, so that what is in it is final.
    for (std::size_t i = 0; i < bucket.size(); ++i) {
      const auto [cost, node] = bucket[i];
      --pending;
      if (tree.cost[node] != cost) continue;
      tree.order.push_back(node);
      for (const auto& edge : edges(node)) {
        const auto reached = cost + edge.cost;
        if (reached >= tree.cost[edge.to]) continue;
        tree.cost[edge.to] = reached;
        tree.parent[edge.to] = node;
        tree.link[edge.to] = node == root ? edge.link : tree.link[node];
        buckets[(reached / kLeastCost) % kBuckets].emplace_back(reached, edge.to);
        ++pending;
      }
    }
    bucket.clear();
  }
}

}  // namespace sixlink::sim
