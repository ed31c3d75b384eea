// SPDX-License-Identifier: BSD-3-Clause
// The short version of `make soak`.
#include <doctest/doctest.h>

#include "tests/soak/datapath_soak.h"

using namespace sixlink;

TEST_CASE("soak: a million packets of every kind are cut and joined, and all arrive as they were sent") {
  test::DatapathSoak soak(91);
  const auto result = soak.run(1'000'000);
  CHECK(result.packets >= 1'000'000);
  CHECK(result.frames_in < result.packets / 3);
  CHECK(result.frames_out < result.packets / 3);
  MESSAGE("memory, KiB: ", result.memory_before, " before, ", result.memory_after, " after");
  CHECK(result.memory_after < result.memory_before + 4096);
}
