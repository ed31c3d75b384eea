// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/measure.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <numeric>
#include <set>

namespace sixlink::sim {
namespace {

double ms(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1000.0;
}

double quantile(std::vector<double>& values, double part) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::size_t>(part * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(at));
  return values[at];
}

std::vector<std::uint32_t> living(const World& world) {
  std::vector<std::uint32_t> numbers;
  for (std::uint32_t number = 0; number < world.size(); ++number) {
    if (world.is_alive(number)) numbers.push_back(number);
  }
  return numbers;
}

// That carry packets.
std::size_t links_at(const World& world, std::uint32_t number) {
  std::size_t count = 0;
  world.each_peer(number, [&](const Tunnel&) { ++count; });
  return count;
}

}  // namespace

Pieces pieces_of(const World& world) {
  // Each node's parent in its piece's tree, the root its own (R. Tarjan, "Efficiency of a Good But Not Linear
  // Set Union Algorithm", JACM 22(2), 1975).
  std::vector<std::uint32_t> parent(world.size());
  std::iota(parent.begin(), parent.end(), 0U);
  const auto root_of = [&](std::uint32_t number) {
    while (parent[number] != number) number = parent[number] = parent[parent[number]];
    return number;
  };
  for (std::uint32_t number = 0; number < world.size(); ++number) {
    world.each_peer(number, [&](const Tunnel& tunnel) { parent[root_of(number)] = root_of(tunnel.peer); });
  }
  std::vector<std::size_t> sizes(world.size());
  Pieces pieces;
  for (std::uint32_t number = 0; number < world.size(); ++number) {
    if (!world.is_alive(number)) continue;
    ++pieces.alive;
    const auto root = root_of(number);
    if (++sizes[root] == 1) ++pieces.components;
    pieces.largest = std::max(pieces.largest, sizes[root]);
  }
  return pieces;
}

Shape shape_of(const World& world, std::size_t samples, std::uint64_t seed) {
  Shape shape;
  const auto graph = world.graph();
  auto roots = living(world);
  shape.is_exact = roots.size() <= samples;
  std::mt19937_64 random(scramble(seed));
  std::ranges::shuffle(roots, random);
  roots.resize(std::min(roots.size(), samples));
  std::vector<double> stretches;
  std::vector<double> directs;
  std::vector<double> paths;
  double sum_direct = 0;
  double sum_path = 0;
  std::uint64_t all_hops = 0;
  std::uint64_t pairs = 0;
  // Of so many pairs some will do, evenly.
  const std::size_t stride = std::max<std::size_t>(1, roots.size() * world.size() / 2'000'000);
  Graph::Tree tree;
  std::vector<double> path(world.size());
  for (const auto root : roots) {
    for (const auto hops : graph.hops(root)) {
      if (hops == 0 || hops == Graph::kNone) continue;
      shape.diameter = std::max(shape.diameter, hops);
      all_hops += hops;
      ++pairs;
    }
    graph.shortest(root, tree);
    path[root] = 0;
    for (std::size_t i = 1; i < tree.order.size(); ++i) {
      const auto node = tree.order[i];
      path[node] =
          path[tree.parent[node]] + ms(world.underlay().delays().round_trip(tree.parent[node], node));
      if (i % stride != 0) continue;
      const double direct = ms(world.underlay().delays().round_trip(root, node));
      sum_direct += direct;
      sum_path += path[node];
      stretches.push_back(path[node] / direct);
      directs.push_back(direct);
      paths.push_back(path[node]);
    }
  }
  if (pairs > 0) shape.mean_hops = static_cast<double>(all_hops) / static_cast<double>(pairs);
  if (sum_direct > 0) shape.stretch_of_sums = sum_path / sum_direct;
  shape.stretch_median = quantile(stretches, 0.5);
  shape.stretch_90 = quantile(stretches, 0.9);
  shape.direct_median_ms = quantile(directs, 0.5);
  shape.path_median_ms = quantile(paths, 0.5);
  return shape;
}

std::vector<std::size_t> links_per_node(const World& world) {
  std::vector<std::size_t> counts;
  for (const auto number : living(world)) {
    const auto links = links_at(world, number);
    if (links >= counts.size()) counts.resize(links + 1);
    ++counts[links];
  }
  return counts;
}

Links links_of(const World& world) {
  Links result;
  const auto numbers = living(world);
  if (numbers.empty()) return result;
  result.least = SIZE_MAX;
  std::size_t all = 0;
  std::size_t begun = 0;
  for (const auto number : numbers) {
    const auto links = links_at(world, number);
    all += links;
    result.least = std::min(result.least, links);
    result.most = std::max(result.most, links);
    for (const auto& link : world.node(number).links()) {
      if (link.is_ours && link.state == mesh::LinkState::kUp) ++begun;
    }
  }
  result.mean = static_cast<double>(all) / static_cast<double>(numbers.size());
  result.begun = static_cast<double>(begun) / static_cast<double>(numbers.size());
  return result;
}

std::size_t links_to_the_dead(const World& world) {
  std::size_t count = 0;
  for (const auto number : living(world)) {
    count += static_cast<std::size_t>(std::ranges::count_if(
        world.tunnels(number), [&](const Tunnel& one) { return one.is_used && !world.is_alive(one.peer); }));
  }
  return count;
}

std::size_t count_with_version(const World& world, std::uint64_t version) {
  const auto numbers = living(world);
  return static_cast<std::size_t>(std::ranges::count_if(
      numbers, [&](std::uint32_t number) { return world.node(number).parameters().version >= version; }));
}

std::size_t links_with(const World& world, std::uint32_t number) {
  std::size_t count = 0;
  for (const auto other : living(world)) {
    if (other == number) continue;
    count += static_cast<std::size_t>(std::ranges::count(world.tunnels(other), number, &Tunnel::peer));
  }
  return count;
}

void check_rules(World& world, bool is_quiet) {
  const auto most_known = world.settings().most_known;
  for (const auto number : living(world)) {
    const auto& node = world.node(number);
    const auto count = static_cast<std::size_t>(node.parameters().client_count);
    const auto links = node.links();
    std::size_t begun = 0;
    std::size_t served = 0;
    std::multiset<std::string> peers;
    for (const auto& link : links) {
      if (link.peer == prefix_of(number)) world.break_rule(number, "has a link to itself");
      if (link.link != 0 && link.state != mesh::LinkState::kRetiring) ++(link.is_ours ? begun : served);
      if (link.state == mesh::LinkState::kUp) peers.insert(link.peer.to_string());
    }
    if (served > 2 * count) world.break_rule(number, "serves " + std::to_string(served) + " links");
    // One more while it is being replaced, and those that both ends began.
    if (begun > count + 2) world.break_rule(number, "has begun " + std::to_string(begun) + " links");
    if (links.size() > 8 * count)
      world.break_rule(number, "has " + std::to_string(links.size()) + " links in all");
    if (node.known_contacts() > most_known)
      world.break_rule(number, "knows " + std::to_string(node.known_contacts()) + " contacts");
    if (!is_quiet) continue;
    for (const auto& peer : peers) {
      if (peers.count(peer) > 1) world.break_rule(number, "has two links up to the same node");
    }
  }
}

std::set<std::pair<std::uint32_t, mesh::LinkId>> one_sided_links(const World& world) {
  std::set<std::pair<std::uint32_t, mesh::LinkId>> found;
  for (const auto number : living(world)) {
    for (const auto& tunnel : world.tunnels(number)) {
      if (!tunnel.is_used || !world.is_alive(tunnel.peer)) continue;
      if (std::ranges::find(world.tunnels(tunnel.peer), tunnel.other.link, &Tunnel::link) ==
          world.tunnels(tunnel.peer).end())
        found.emplace(number, tunnel.link);
    }
  }
  return found;
}

std::size_t memory_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::size_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  double sum = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  getrusage(RUSAGE_CHILDREN, &usage);
  return sum + seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace sixlink::sim
