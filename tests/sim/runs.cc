// SPDX-License-Identifier: BSD-3-Clause
// A network is made once; what is then done to it is done to copies: each in a process of its own, forked.
#include "tests/sim/runs.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <stdexcept>

#include "tests/sim/experiments.h"
#include "tests/sim/measure.h"

namespace sixlink::sim {
namespace {

void say(const World& world, const char* what) {
  std::fprintf(stderr, "# %zu nodes: %s; %.0f s of processor time, %zu MiB, %llu events\n", world.size(),
               what, processor_seconds(), memory_bytes() >> 20,
               static_cast<unsigned long long>(world.totals().events));
}

std::string list(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& text : texts) all += (all.empty() ? "" : ",") + quoted(text);
  return "[" + all + "]";
}

// What `experiment` returns, run on a copy of everything. "null" where that failed.
std::string on_a_copy(const char* name, World& world, const std::function<JsonObject()>& experiment) {
  int ends[2];
  std::fflush(nullptr);
  if (pipe(ends) != 0) throw std::runtime_error("no pipe for " + std::string(name));
  const auto child = fork();
  if (child < 0) throw std::runtime_error("no process for " + std::string(name));
  if (child == 0) {
    close(ends[0]);
    auto result = experiment();
    const auto text = result.add_raw("broken_rules", list(world.broken_rules())).to_string();
    say(world, name);
    for (std::size_t written = 0; written < text.size();) {
      const auto count = write(ends[1], text.data() + written, text.size() - written);
      if (count <= 0) _exit(1);
      written += static_cast<std::size_t>(count);
    }
    // Nothing is to be taken apart.
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t count = 0; (count = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(count));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0 || text.empty()) {
    std::fprintf(stderr, "# %s failed with status %d\n", name, status);
    return "null";
  }
  return text;
}

}  // namespace

std::string measure(std::size_t nodes, std::uint64_t seed) {
  const auto began = std::chrono::steady_clock::now();
  const bool is_small = nodes <= 1200;
  const bool is_large = nodes > 20'000;
  World world(settings_for(nodes, seed));
  JsonObject result;
  result.add("kind", "measure").add("nodes", nodes).add("seed", seed);
  result.add("join", join(world, spread_for(nodes), std::chrono::seconds(is_large ? 10 : 60)));
  say(world, "joined");
  result.add("shape", describe(world, is_small ? nodes : is_large ? 50 : 200));
  result.add("rest", rest(world, std::chrono::seconds(is_small ? 330 : is_large ? 10 : 120)));
  say(world, "rested");
  result.add("shape_later", describe(world, is_small ? nodes : is_large ? 50 : 200));
  const std::chrono::seconds limit(is_large ? 30 : 180);
  for (const int percent : {10, 30, 50}) {
    if (is_large && percent != 30) continue;
    const auto name = "lose_" + std::to_string(percent);
    result.add_raw(name,
                   on_a_copy(name.c_str(), world, [&] { return lose(world, percent / 100.0, true, limit); }));
  }
  result.add_raw("revoke", on_a_copy("revoke", world, [&] { return revoke(world, limit); }));
  if (!is_large) {
    result.add_raw("restart", on_a_copy("restart", world, [&] { return restart_all(world, limit); }));
    result.add_raw("partition", on_a_copy("partition", world, [&] {
                     return part_and_heal(world, std::chrono::seconds(120), limit);
                   }));
  }
  check_rules(world, false);
  result.add_raw("broken_rules", list(world.broken_rules()));
  const auto& totals = world.totals();
  result.add("events", totals.events).add("virtual_s", in_seconds(world.now().time_since_epoch()) - 3600);
  result.add("processor_s", processor_seconds()).add("memory_bytes", peak_memory_bytes());
  result.add("wall_s", in_seconds(std::chrono::steady_clock::now() - began));
  return result.to_string();
}

std::string one_seed(std::size_t nodes, std::uint64_t seed) {
  const auto began = std::chrono::steady_clock::now();
  World world(settings_for(nodes, seed));
  JsonObject result;
  result.add("kind", "seed").add("nodes", nodes).add("seed", seed);
  result.add("join", join(world, spread_for(nodes), std::chrono::seconds(15)));
  const auto links = links_of(world);
  result.add("links_mean", links.mean).add("links_least", links.least).add("links_begun", links.begun);
  result.add("lose_30", lose(world, 0.3, false, std::chrono::seconds(60)));
  result.add_raw("broken_rules", list(world.broken_rules()));
  result.add("processor_s", processor_seconds()).add("memory_bytes", peak_memory_bytes());
  result.add("wall_s", in_seconds(std::chrono::steady_clock::now() - began));
  return result.to_string();
}

}  // namespace sixlink::sim
