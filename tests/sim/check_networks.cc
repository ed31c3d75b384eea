// SPDX-License-Identifier: BSD-3-Clause
// Networks in trouble.
#include <algorithm>
#include <cstdio>

#include "tests/sim/check.h"
#include "tests/sim/experiments.h"
#include "tests/sim/measure.h"

namespace sixlink::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string broken(World& world, bool is_quiet = false) {
  check_rules(world, is_quiet);
  std::string all;
  for (const auto& rule : world.broken_rules()) all += (all.empty() ? "" : "; ") + rule;
  return all;
}

std::string pieces_text(const World& world) {
  const auto pieces = pieces_of(world);
  return std::to_string(pieces.components) + " components, the largest has " +
         std::to_string(pieces.largest) + " of " + std::to_string(pieces.alive) + " nodes";
}

WorldSettings small(std::size_t nodes, std::uint64_t seed) {
  auto settings = settings_for(nodes, seed);
  settings.traffic_interval = milliseconds(500);
  return settings;
}

// A network that has come up; what to say if it has not.
std::string bring_up(World& world, std::chrono::seconds limit) {
  if (pieces_of(world).alive != 0) return "there are nodes before they start";
  world.start_all(milliseconds(100));
  world.run_for(milliseconds(100));
  if (pieces_of(world).is_connected()) return "it is connected before there was time for it";
  if (!world.run_until([&] { return pieces_of(world).is_connected(); }, milliseconds(250), limit))
    return "not connected " + std::to_string(limit.count()) +
           " s after everybody started at once: " + pieces_text(world);
  return {};
}

bool is_connected(const World& world) {
  return pieces_of(world).is_connected();
}

// Nothing new for a while: then both ends of each link agree.
std::string quiet_rules(World& world) {
  world.run_for(seconds(15));
  const auto before = one_sided_links(world);
  world.run_for(seconds(20));
  for (const auto& [number, link] : one_sided_links(world)) {
    if (before.contains({number, link}))
      world.break_rule(number, "has had a link for 20 s that the other end does not have");
  }
  return broken(world, true);
}

std::string storm(std::size_t nodes) {
  World world(small(nodes, 1));
  if (auto problem = bring_up(world, seconds(60)); !problem.empty()) return problem;
  const auto links = [&] { return links_of(world); };
  if (!world.run_until([&] { return links().least >= 2 && links().begun >= 6; }, seconds(1), seconds(60)))
    return "60 s after it was connected a node has " + std::to_string(links().least) +
           " links, and the mean has begun " + std::to_string(links().begun);
  // In one second; each of 10 links and 20 that are served is some messages of two datagrams.
  if (world.peak_rate() > 1000)
    return "a node sent " + std::to_string(world.peak_rate()) + " datagrams in a second";
  if (!is_connected(world)) return "it fell apart: " + pieces_text(world);
  return quiet_rules(world);
}

std::string registry_is_needed_once(std::size_t nodes) {
  World world(small(nodes, 2));
  world.registry().set_up(false);
  world.start_all(milliseconds(100));
  world.run_for(seconds(30));
  if (links_of(world).most > 0) return "there are links, though nobody can know anybody";
  world.registry().set_up(true);
  if (!world.run_until([&] { return is_connected(world); }, milliseconds(500), seconds(180)))
    return "not connected 180 s after the registry came back: " + pieces_text(world);
  world.run_for(seconds(30));
  world.registry().set_up(false);
  world.run_for(seconds(60));
  if (!is_connected(world)) return "it fell apart without the registry: " + pieces_text(world);
  return broken(world);
}

std::string restart(std::size_t nodes) {
  World world(small(nodes, 3));
  if (auto problem = bring_up(world, seconds(60)); !problem.empty()) return problem;
  world.run_for(seconds(30));
  world.registry().set_up(false);
  for (std::uint32_t number = 0; number < nodes; ++number) world.kill(number);
  if (world.count_alive() != 0) return "somebody survived";
  world.start_all(milliseconds(100));
  const auto time = world.run_until([&] { return world.count_alive() == nodes && is_connected(world); },
                                    milliseconds(100), seconds(60));
  if (!time) return "not connected 60 s after everybody started again: " + pieces_text(world);
  std::printf("# without the registry, from what each remembers: one component after %.1f s\n",
              in_seconds(*time));
  if (*time > seconds(10)) return "it took " + std::to_string(in_seconds(*time)) + " s, more than 10";
  return quiet_rules(world);
}

std::string churn(std::size_t nodes) {
  World world(small(nodes, 4));
  if (auto problem = bring_up(world, seconds(60)); !problem.empty()) return problem;
  std::mt19937_64 random(4);
  // Everybody lives for a minute in the mean, and is away for 10 s.
  std::uniform_real_distribution<double> chance;
  double least = 1;
  for (int second = 0; second < 100; ++second) {
    for (std::uint32_t number = 0; number < nodes; ++number) {
      if (world.is_alive(number)) {
        if (chance(random) < 1.0 / 60) random() % 2 == 0 ? world.kill(number) : world.leave(number);
      } else if (chance(random) < 1.0 / 10) {
        world.start(number);
      }
    }
    world.run_for(seconds(1));
    check_rules(world, false);
    // Of those that were there long enough to have found somebody.
    const auto components = world.graph().components();
    std::vector<std::size_t> sizes(nodes);
    std::size_t old = 0;
    for (std::uint32_t number = 0; number < nodes; ++number) {
      if (!world.is_alive(number) || world.now() - world.started(number) < seconds(15)) continue;
      ++old;
      ++sizes[components[number]];
    }
    if (second >= 30)
      least =
          std::min(least, static_cast<double>(*std::ranges::max_element(sizes)) / static_cast<double>(old));
  }
  std::printf("# at the worst moment %.1f %% of those that were there for 15 s were in one component\n",
              100 * least);
  if (least < 0.95) return "at the worst moment " + std::to_string(100 * least) + " % were connected";
  if (!world.run_until([&] { return is_connected(world); }, milliseconds(500), seconds(60)))
    return "not connected 60 s after it: " + pieces_text(world);
  return quiet_rules(world);
}

std::string partition(std::size_t nodes) {
  World world(small(nodes, 5));
  if (auto problem = bring_up(world, seconds(60)); !problem.empty()) return problem;
  world.run_for(seconds(20));
  std::vector<std::uint8_t> sides(nodes);
  for (std::size_t i = 0; i < nodes; ++i) sides[i] = i % 2;
  world.cut(sides);
  if (is_connected(world)) return "it is whole though it was cut";
  if (!world.run_until([&] { return pieces_of(world).components == 2; }, milliseconds(500), seconds(60)))
    return "not two components 60 s after the cut: " + pieces_text(world);
  world.run_for(seconds(90));
  if (pieces_of(world).components != 2) return "the halves fell apart: " + pieces_text(world);
  world.cut({});
  const auto time = world.run_until([&] { return is_connected(world); }, milliseconds(250), seconds(120));
  if (!time) return "not connected 120 s after the cut was healed: " + pieces_text(world);
  std::printf("# one component %.1f s after the cut was healed\n", in_seconds(*time));
  return quiet_rules(world);
}

std::string loss_of_many(std::size_t nodes) {
  World world(small(nodes, 6));
  if (auto problem = bring_up(world, seconds(60)); !problem.empty()) return problem;
  world.run_for(seconds(30));
  std::mt19937_64 random(6);
  for (const auto number : pick(world, nodes * 3 / 10, random)) world.kill(number);
  if (links_to_the_dead(world) == 0) return "nobody was linked to the dead";
  const auto time = world.run_until([&] { return links_to_the_dead(world) == 0 && is_connected(world); },
                                    milliseconds(250), seconds(30));
  if (!time)
    return "30 s later " + std::to_string(links_to_the_dead(world)) + " links lead to the dead, " +
           pieces_text(world);
  std::printf("# the last link to a dead node was gone after %.1f s\n", in_seconds(*time));
  return broken(world);
}

std::string revocation(std::size_t nodes) {
  World world(small(nodes, 7));
  if (auto problem = bring_up(world, seconds(60)); !problem.empty()) return problem;
  world.run_for(seconds(30));
  world.registry().set_up(false);
  const std::uint32_t bad = 3;
  if (links_with(world, bad) == 0) return "the node had no link before it was revoked";
  world.revoke(bad, {10});
  const auto done = [&] { return count_with_version(world, 2) >= nodes - 1 && links_with(world, bad) == 0; };
  if (done()) return "everybody knows it before anybody can have said it";
  const auto time = world.run_until(done, milliseconds(50), seconds(30));
  if (!time)
    return "30 s later " + std::to_string(count_with_version(world, 2)) + " nodes know it, and there are " +
           std::to_string(links_with(world, bad)) + " links with the revoked node";
  std::printf("# everybody knew, and the last link was cut, after %.2f s\n", in_seconds(*time));
  if (*time > seconds(3)) return "it took " + std::to_string(in_seconds(*time)) + " s, more than 3";
  world.run_for(seconds(60));
  if (links_with(world, bad) != 0) return "the revoked node has links again";
  if (pieces_of(world).components != 2) return "the rest fell apart: " + pieces_text(world);
  return broken(world);
}

std::string damage(std::size_t nodes) {
  auto settings = small(nodes, 8);
  settings.damage = 0.05;
  settings.loss = 0.05;
  World world(settings);
  if (auto problem = bring_up(world, seconds(120)); !problem.empty()) return problem;
  std::uint64_t seen = 0;
  for (std::uint32_t number = 0; number < nodes; ++number) {
    const auto& counters = world.node(number).counters();
    seen += counters.malformed + counters.bad_contacts;
  }
  if (seen == 0) return "nobody noticed that datagrams were damaged";
  return quiet_rules(world);
}

std::string hard_networks(std::size_t nodes) {
  auto settings = small(nodes, 9);
  settings.mix = {0.15, 0, 0, 0.25, 0.6, 0};
  World symmetric(settings);
  if (auto problem = bring_up(symmetric, seconds(120)); !problem.empty()) return "60 % symmetric: " + problem;
  if (auto problem = quiet_rules(symmetric); !problem.empty()) return "60 % symmetric: " + problem;
  settings.mix = {0.7, 0, 0, 0, 0, 0.3};
  World blocked(settings);
  if (auto problem = bring_up(blocked, seconds(120)); !problem.empty()) return "30 % without UDP: " + problem;
  return quiet_rules(blocked);
}

std::string same_again(std::size_t nodes) {
  std::string texts[3];
  for (int i = 0; i < 3; ++i) {
    World world(small(nodes / 4, i == 2 ? 11 : 10));
    world.start_all(milliseconds(100));
    world.run_for(seconds(30));
    texts[i] = std::to_string(world.totals().events) + " events, " +
               std::to_string(world.totals().wire_bytes) + " bytes";
  }
  if (texts[0] == texts[2]) return "another seed makes no difference";
  if (texts[0] != texts[1]) return "one time " + texts[0] + ", then " + texts[1];
  return {};
}

}  // namespace

std::vector<Check> checks_of_networks(std::size_t nodes) {
  const auto with = [nodes](std::string (*test)(std::size_t)) { return [=] { return test(nodes); }; };
  return {{"everybody starts at once", with(storm)},
          {"the registry is needed once", with(registry_is_needed_once)},
          {"everybody starts again without the registry", with(restart)},
          {"nodes come and go", with(churn)},
          {"the network is cut in two, and healed", with(partition)},
          {"30 % die at once", with(loss_of_many)},
          {"a node is revoked while the registry is down", with(revocation)},
          {"datagrams are lost and damaged", [=] { return damage(nodes / 2); }},
          {"symmetric translators, and no UDP", [=] { return hard_networks(nodes / 2); }},
          {"the same seed, the same network", with(same_again)}};
}

}  // namespace sixlink::sim
