// SPDX-License-Identifier: BSD-3-Clause
// What the network looks like, as somebody sees it who sees all of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "tests/sim/world.h"

namespace sixlink::sim {

// Of the living nodes.
struct Pieces {
  std::size_t alive = 0;
  std::size_t components = 0;
  std::size_t largest = 0;

  bool is_connected() const { return alive > 0 && largest == alive; }
  double share() const { return alive == 0 ? 0 : static_cast<double>(largest) / static_cast<double>(alive); }
};
Pieces pieces_of(const World& world);

struct Shape {
  bool is_exact = false;  // from all nodes; else from some, and the diameter is one at least
  unsigned diameter = 0;
  double mean_hops = 0;
  // Round trip along Babel's way to the direct one's, of pairs: 1 is as good as direct.
  double stretch_median = 0;
  double stretch_90 = 0;
  double stretch_of_sums = 0;
  double direct_median_ms = 0;
  double path_median_ms = 0;
};
Shape shape_of(const World& world, std::size_t samples, std::uint64_t seed);

// How many living nodes have so many links that work.
std::vector<std::size_t> links_per_node(const World& world);

struct Links {
  double mean = 0;
  std::size_t least = 0;
  std::size_t most = 0;
  double begun = 0;  // of a node, by itself
};
Links links_of(const World& world);

// Links of living nodes to dead ones.
std::size_t links_to_the_dead(const World& world);
// Living nodes with this version of the parameters or a newer one.
std::size_t count_with_version(const World& world, std::uint64_t version);
std::size_t links_with(const World& world, std::uint32_t number);

// Looks at every node for what may never be, and notes it in the world. `is_quiet`: nothing happened for a
// while.
void check_rules(World& world, bool is_quiet);
// Links between living nodes that only one end has, as node and link: for a moment that is as it should be.
std::set<std::pair<std::uint32_t, mesh::LinkId>> one_sided_links(const World& world);

// Of this process.
std::size_t memory_bytes();
std::size_t peak_memory_bytes();
double processor_seconds();  // with that of its copies

}  // namespace sixlink::sim
