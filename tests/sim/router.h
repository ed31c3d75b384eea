// SPDX-License-Identifier: BSD-3-Clause
// In place of babeld on every node: shortest paths, exact, over the links that both ends have, known
// everywhere some time after a link changed. A node that died stays a way until its neighbours withdraw their
// links to it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "src/mesh/node.h"
#include "tests/sim/graph.h"
#include "tests/sim/underlay.h"

namespace sixlink::sim {

struct RouterSettings {
  std::chrono::milliseconds interval{1000};     // the network is looked at so often
  std::chrono::milliseconds convergence{2000};  // and known so much later
  // Who has the same links as before is told of the rest's changes no more often than this.
  std::chrono::milliseconds pause{0};
  // Up to so many nodes each is told of all, with its exact next hop to each. Of more, each is told of a
  // sample, drawn evenly from its component.
  std::size_t full_tables = 1200;
  std::size_t sample = 96;
  // How often each node's sample gets its exact next hops; until then those of the best neighbour. Zero:
  // never.
  std::chrono::seconds tree_interval{100};
};

class Router {
 public:
  Router(const RouterSettings& settings, const Underlay& underlay, std::size_t nodes, std::uint64_t seed);

  void add_link(std::uint32_t node, mesh::LinkId link, std::uint32_t peer);
  void raise_cost(std::uint32_t node, mesh::LinkId link);
  void remove_link(std::uint32_t node, mesh::LinkId link);
  // It starts: nothing is left of what it had.
  void reset(std::uint32_t node, TimePoint now);

  // Every `interval`. `alive`: what no node can know, for how far packets get.
  void converge(TimePoint now, const std::vector<bool>& alive);
  // What the node's routing table has now. False: what it was told before holds.
  bool tell(std::uint32_t node, TimePoint now, std::vector<mesh::Reached>& reached);

  // A packet between two nodes' own addresses. nullopt: it does not arrive. `works`: whether a link of the
  // first to the second carries packets at this moment.
  using Works = std::function<bool(std::uint32_t, std::uint32_t)>;
  std::optional<std::chrono::nanoseconds> carry(std::uint32_t from, std::uint32_t to, Underlay& underlay,
                                                const Works& works);

  // Babel's metric of a link with this round trip: rxcost 96, max-rtt-penalty 5000 at 500 ms.
  static std::uint32_t cost_of(std::chrono::microseconds round_trip);

 private:
  struct Link {
    mesh::LinkId id;
    std::uint32_t peer;
    std::uint32_t cost;
    std::chrono::microseconds round_trip;
  };
  struct Sampled {
    std::uint32_t node;
    mesh::LinkId through;
  };
  struct Table {
    std::vector<Link> links;
    std::uint64_t told = 0;  // the view's version
    TimePoint told_at{};
    bool is_empty = true;                  // what it was told
    bool has_changed = false;              // its own links, since
    std::vector<std::uint32_t> next_hops;  // by destination, where tables are full
    std::vector<Sampled> sample;
    TimePoint tree_at{};
  };
  // The network at one moment.
  struct View {
    std::uint64_t version = 0;
    TimePoint at{};
    Graph graph;
    std::vector<std::uint32_t> component;
    std::vector<std::uint32_t> members;  // by component
    std::vector<std::uint32_t> first;    // of a component in `members`, by its number
    std::vector<std::uint32_t> count;
    double stale = 0;  // share of links that lead to the dead
    double stretch = 1.5;
    double hops = 3;
  };
  std::shared_ptr<View> look(TimePoint now, const std::vector<bool>& alive);
  void estimate(View& view, const std::vector<bool>& alive);
  void tell_all(std::uint32_t node, Table& table, std::vector<mesh::Reached>& reached);
  bool tell_sample(std::uint32_t node, Table& table, TimePoint now, std::vector<mesh::Reached>& reached);
  bool draw(std::uint32_t node, Table& table);
  mesh::LinkId nearest_way(const Table& table, std::uint32_t to) const;
  std::optional<std::chrono::nanoseconds> hop_by_hop(std::uint32_t from, std::uint32_t to, Underlay& underlay,
                                                     const Works& works) const;

  RouterSettings settings_;
  const Underlay& underlay_;
  std::vector<Table> tables_;
  std::mt19937_64 random_;
  bool is_dirty_ = true;
  std::uint64_t version_ = 0;
  std::deque<std::shared_ptr<View>> coming_;
  std::shared_ptr<View> view_;
  Graph::Tree tree_;
};

}  // namespace sixlink::sim
