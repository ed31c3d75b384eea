// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/retry.h"

#include <doctest/doctest.h>

#include <set>

using namespace std::chrono_literals;
using sixlink::tunnel::RetrySchedule;

TEST_CASE("retry: the delay doubles up to the maximum and stays there, with jitter of a quarter") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    RetrySchedule schedule(30s, 300s, seed);
    for (const std::chrono::milliseconds nominal : {30s, 60s, 120s, 240s, 300s, 300s, 300s}) {
      const auto wait = schedule.next();
      CAPTURE(nominal.count());
      CHECK(wait >= nominal * 3 / 4);
      CHECK(wait <= std::min<std::chrono::milliseconds>(nominal * 5 / 4, 300s));
    }
  }
}

TEST_CASE("retry: starts over after a reset") {
  RetrySchedule schedule(10s, 1000s, 7);
  for (int i = 0; i < 20; ++i) (void)schedule.next();
  schedule.reset();
  CHECK(schedule.next() <= 12500ms);
  CHECK(schedule.next() >= 15s);
}

TEST_CASE("retry: repeating a delay does not make the next one longer") {
  RetrySchedule schedule(10s, 1000s, 7);
  for (int i = 0; i < 20; ++i) {
    const auto wait = schedule.repeat();
    CHECK(wait >= 7500ms);
    CHECK(wait <= 12500ms);
  }
  CHECK(schedule.next() <= 12500ms);
  CHECK(schedule.repeat() >= 15s);
}

TEST_CASE("retry: a maximum below the delay does not shorten it") {
  RetrySchedule schedule(60s, 10s, 1);
  for (int i = 0; i < 10; ++i) CHECK(schedule.next() >= 45s);
}

TEST_CASE("retry: clients that lost the same broker come back at different times") {
  std::set<std::chrono::milliseconds> waits;
  auto shortest = std::chrono::milliseconds::max();
  auto longest = 0ms;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const auto wait = RetrySchedule(30s, 300s, seed).next();
    waits.insert(wait);
    shortest = std::min(shortest, wait);
    longest = std::max(longest, wait);
  }
  CHECK(waits.size() > 900);
  // Over the whole range.
  CHECK(shortest < 23s);
  CHECK(longest > 37s);
}
