// SPDX-License-Identifier: BSD-3-Clause
// The fuzzers' entry points on their seeds and on mutations of them, so that every build and `make asan` run
// them.
#include <doctest/doctest.h>

#include <random>

#include "tests/fuzz/entry_points.h"
#include "tests/fuzz/seeds.h"
#include "tests/unit/tsp/mutation.h"

using namespace sixlink;

namespace {

void run(const fuzz::EntryPoint& entry, const std::string& input) {
  entry.run({reinterpret_cast<const std::uint8_t*>(input.data()), input.size()});
}

}  // namespace

TEST_CASE("fuzz: every entry point keeps its promises on its seeds, whole and truncated") {
  for (const auto& entry : fuzz::kEntryPoints) {
    CAPTURE(entry.name);
    const auto seeds = fuzz::seeds(entry.name);
    REQUIRE(seeds.size() >= 2);
    run(entry, "");
    for (const auto& seed : seeds) {
      run(entry, seed);
      const auto step = 1 + seed.size() / 64;
      for (std::size_t size = 0; size < seed.size(); size += step) run(entry, seed.substr(0, size));
    }
  }
}

TEST_CASE("fuzz: every entry point keeps its promises on tens of thousands of mutations") {
  for (const auto& entry : fuzz::kEntryPoints) {
    CAPTURE(entry.name);
    std::mt19937 random(0xF022);
    const auto seeds = fuzz::seeds(entry.name);
    for (int i = 0; i < entry.mutations; ++i) {
      auto input = seeds[random() % seeds.size()];
      for (auto rounds = random() % 3; rounds > 0; --rounds)
        input = tsp::test::mutated(std::move(input), random);
      run(entry, tsp::test::mutated(std::move(input), random));
    }
    for (const auto& seed : seeds) run(entry, seed);
  }
}
