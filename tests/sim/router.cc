// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/router.h"

#include <algorithm>
#include <cmath>

#include "tests/sim/stand_ins.h"

namespace sixlink::sim {
namespace {

constexpr std::uint32_t kWireCost = 96;
constexpr std::int64_t kLeastRtt = 10'000;  // us
constexpr std::int64_t kMostRtt = 500'000;
constexpr std::int64_t kMostPenalty = 5000;
constexpr std::uint32_t kRaised = 20'000;
constexpr int kMostHops = 64;

}  // namespace

Router::Router(const RouterSettings& settings, const Underlay& underlay, std::size_t nodes,
               std::uint64_t seed)
    : settings_(settings),
      underlay_(underlay),
      tables_(nodes),
      random_(scramble(seed)),
      view_(std::make_shared<View>()) {}

std::uint32_t Router::cost_of(std::chrono::microseconds round_trip) {
  const auto rtt = std::clamp<std::int64_t>(round_trip.count(), kLeastRtt, kMostRtt);
  return kWireCost + static_cast<std::uint32_t>((rtt - kLeastRtt) * kMostPenalty / (kMostRtt - kLeastRtt));
}

void Router::add_link(std::uint32_t node, mesh::LinkId link, std::uint32_t peer) {
  const auto round_trip = underlay_.delays().round_trip(node, peer);
  tables_[node].links.push_back({link, peer, cost_of(round_trip), round_trip});
  tables_[node].has_changed = is_dirty_ = true;
}

void Router::raise_cost(std::uint32_t node, mesh::LinkId link) {
  for (auto& one : tables_[node].links) {
    if (one.id == link && one.cost < kRaised) one.cost += kRaised;
  }
  is_dirty_ = true;
}

void Router::remove_link(std::uint32_t node, mesh::LinkId link) {
  if (std::erase_if(tables_[node].links, [&](const Link& one) { return one.id == link; }) == 0) return;
  tables_[node].has_changed = is_dirty_ = true;
}

void Router::reset(std::uint32_t node, TimePoint now) {
  tables_[node] = {};
  tables_[node].tree_at = now;
  is_dirty_ = true;
}

// ---- what the network looks like ----

std::shared_ptr<Router::View> Router::look(TimePoint now, const std::vector<bool>& alive) {
  auto view = std::make_shared<View>();
  view->version = ++version_;
  view->at = now;
  std::size_t stale = 0;
  for (std::uint32_t node = 0; node < tables_.size(); ++node) {
    for (const auto& link : tables_[node].links) {
      const auto& back = tables_[link.peer].links;
      const auto found = std::ranges::find(back, node, &Link::peer);
      if (found == back.end()) continue;
      // What it costs is for the receiver to say (RFC 8966, 3.4.3): both ends' raising counts.
      view->graph.add({link.peer, std::max(link.cost, found->cost), link.id});
      if (!alive[link.peer]) ++stale;
    }
    view->graph.end_node();
  }
  const auto& graph = view->graph;
  view->stale =
      graph.edge_count() == 0 ? 0 : static_cast<double>(stale) / static_cast<double>(graph.edge_count());
  view->component = graph.components();
  view->count.assign(graph.size(), 0);
  for (const auto component : view->component) ++view->count[component];
  view->first.resize(graph.size());
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < graph.size(); ++i) {
    view->first[i] = sum;
    sum += view->count[i];
  }
  view->members.resize(graph.size());
  auto next = view->first;
  for (std::uint32_t node = 0; node < graph.size(); ++node)
    view->members[next[view->component[node]]++] = node;
  if (graph.size() > settings_.full_tables) estimate(*view, alive);
  return view;
}

// How long packets take where there are no full tables: from one node's exact tree.
void Router::estimate(View& view, const std::vector<bool>& alive) {
  const auto root = static_cast<std::uint32_t>(random_() % view.graph.size());
  view.stretch = view_->stretch;
  view.hops = view_->hops;
  if (!alive[root] || view.count[view.component[root]] < view.graph.size() / 4) return;
  view.graph.shortest(root, tree_);
  std::vector<double> delay(view.graph.size());
  std::vector<unsigned> hops(view.graph.size());
  double ratios = 0;
  double all_hops = 0;
  for (const auto node : tree_.order) {
    if (node == root) continue;
    const auto parent = tree_.parent[node];
    delay[node] = delay[parent] + static_cast<double>(underlay_.delays().round_trip(parent, node).count());
    hops[node] = hops[parent] + 1;
    ratios += delay[node] / static_cast<double>(underlay_.delays().round_trip(root, node).count());
    all_hops += hops[node];
  }
  const auto reached = static_cast<double>(tree_.order.size() - 1);
  view.stretch = ratios / reached;
  view.hops = all_hops / reached;
}

void Router::converge(TimePoint now, const std::vector<bool>& alive) {
  if (is_dirty_) {
    coming_.push_back(look(now, alive));
    is_dirty_ = false;
  }
  while (!coming_.empty() && coming_.front()->at + settings_.convergence <= now) {
    view_ = std::move(coming_.front());
    coming_.pop_front();
  }
}

// ---- what nodes are told ----

bool Router::tell(std::uint32_t node, TimePoint now, std::vector<mesh::Reached>& reached) {
  auto& table = tables_[node];
  reached.clear();
  if (view_->version == 0 || (table.told == view_->version && !table.has_changed)) return false;
  if (!table.has_changed && now - table.told_at < settings_.pause) return false;
  table.told = view_->version;
  table.told_at = now;
  const bool has_changed = table.has_changed;
  table.has_changed = false;
  if (tables_.size() <= settings_.full_tables) {
    tell_all(node, table, reached);
  } else if (!tell_sample(node, table, now, reached) && !has_changed) {
    return false;
  }
  const bool was_empty = table.is_empty;
  table.is_empty = reached.empty();
  return !(was_empty && table.is_empty);
}

void Router::tell_all(std::uint32_t node, Table& table, std::vector<mesh::Reached>& reached) {
  view_->graph.shortest(node, tree_);
  table.next_hops.assign(tables_.size(), Graph::kNone);
  for (const auto to : tree_.order) {
    if (to == node) continue;
    table.next_hops[to] = tree_.parent[to] == node ? to : table.next_hops[tree_.parent[to]];
    // A link that this node has given up since: nothing goes there.
    if (std::ranges::find(table.links, tree_.link[to], &Link::id) == table.links.end()) continue;
    reached.push_back({prefix_of(to), tree_.link[to]});
  }
}

// Evenly from the component. False: it had as many as it may have.
bool Router::draw(std::uint32_t node, Table& table) {
  const auto component = view_->component[node];
  const auto count = view_->count[component];
  const auto wanted = std::min<std::size_t>(settings_.sample, count - 1);
  bool has_drawn = false;
  // Where few are left to draw, some attempts are in vain: the next time is soon.
  for (std::size_t tries = 0; table.sample.size() < wanted && tries < 2 * wanted; ++tries) {
    const auto one = view_->members[view_->first[component] + random_() % count];
    if (one == node || std::ranges::find(table.sample, one, &Sampled::node) != table.sample.end()) continue;
    table.sample.push_back({one, 0});
    has_drawn = true;
  }
  return has_drawn;
}

mesh::LinkId Router::nearest_way(const Table& table, std::uint32_t to) const {
  mesh::LinkId best = 0;
  auto least = std::chrono::microseconds::max();
  for (const auto& link : table.links) {
    if (link.peer == to) return link.id;
    if (link.round_trip >= least) continue;
    const auto way = link.round_trip + underlay_.delays().round_trip(link.peer, to);
    if (way >= least) continue;
    least = way;
    best = link.id;
  }
  return best;
}

bool Router::tell_sample(std::uint32_t node, Table& table, TimePoint now,
                         std::vector<mesh::Reached>& reached) {
  const auto component = view_->component[node];
  bool is_new = std::erase_if(table.sample, [&](const Sampled& one) {
                  return view_->component[one.node] != component;
                }) > 0;
  const bool is_due = settings_.tree_interval.count() > 0 && now - table.tree_at >= settings_.tree_interval &&
                      !table.links.empty();
  if (is_due) {
    table.tree_at = now;
    std::erase_if(table.sample, [&](const Sampled&) { return random_() % 3 == 0; });
  }
  is_new = draw(node, table) || is_due || is_new;
  if (is_due) {
    view_->graph.shortest(node, tree_);
    for (auto& one : table.sample) one.through = tree_.link[one.node];
  }
  for (auto& one : table.sample) {
    if (std::ranges::find(table.links, one.through, &Link::id) != table.links.end()) continue;
    one.through = nearest_way(table, one.node);
    is_new = true;
  }
  if (table.links.empty()) table.sample.clear();
  reached.reserve(table.sample.size() + table.links.size());
  for (const auto& link : table.links) reached.push_back({prefix_of(link.peer), link.id});
  for (const auto& one : table.sample) {
    if (std::ranges::find(table.links, one.node, &Link::peer) == table.links.end())
      reached.push_back({prefix_of(one.node), one.through});
  }
  return is_new;
}

// ---- packets ----

std::optional<std::chrono::nanoseconds> Router::carry(std::uint32_t from, std::uint32_t to,
                                                      Underlay& underlay, const Works& works) {
  if (tables_.size() <= settings_.full_tables) return hop_by_hop(from, to, underlay, works);
  if (view_->version == 0 || view_->component[from] != view_->component[to] || tables_[to].links.empty())
    return std::nullopt;
  const double arrives = std::pow(1 - view_->stale, std::max(view_->hops - 1, 0.0));
  if (std::uniform_real_distribution<double>()(random_) >= arrives) return std::nullopt;
  const auto delay = static_cast<double>(underlay.one_way(from, to).count()) * view_->stretch;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(delay));
}

std::optional<std::chrono::nanoseconds> Router::hop_by_hop(std::uint32_t from, std::uint32_t to,
                                                           Underlay& underlay, const Works& works) const {
  std::chrono::nanoseconds delay{0};
  auto here = from;
  for (int hops = 0; here != to; ++hops) {
    const auto& table = tables_[here];
    const auto next = to < table.next_hops.size() ? table.next_hops[to] : Graph::kNone;
    if (next == Graph::kNone || hops == kMostHops || !works(here, next) || underlay.is_lost())
      return std::nullopt;
    delay += underlay.one_way(here, next);
    here = next;
  }
  return delay;
}

}  // namespace sixlink::sim
