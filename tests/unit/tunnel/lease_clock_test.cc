// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/lease_clock.h"

#include <doctest/doctest.h>

using namespace sixlink::tunnel;
using namespace std::chrono_literals;

namespace {
constexpr LeaseClock::TimePoint kStart{1000h};
}

TEST_CASE("lease clock: a lease without an end is never asked for again") {
  const LeaseClock clock(0s, kStart);
  CHECK(clock.due() == LeaseClock::TimePoint::max());
  CHECK_FALSE(clock.is_over(kStart + 100000h));
}

TEST_CASE("lease clock: renewal is due before the end, with time for more than one attempt") {
  const LeaseClock week(604800s, kStart);
  CHECK(week.due() == kStart + 604800s - 75600s);
  const LeaseClock year(31536000s, kStart);
  CHECK(year.due() == kStart + 31536000s - 24h);
  const LeaseClock hour(3600s, kStart);
  CHECK(hour.due() == kStart + 3600s - 450s);
  const LeaseClock minute(60s, kStart);
  CHECK(minute.due() == kStart + 30s);
  CHECK_FALSE(minute.is_over(kStart + 59s));
  CHECK(minute.is_over(kStart + 60s));
}

TEST_CASE("lease clock: the shortest and the longest lifetime that a broker can name") {
  CHECK(LeaseClock(1s, kStart).due() == kStart + 30s);
  const LeaseClock longest(std::chrono::seconds(1L << 32), kStart);
  CHECK(longest.due() == kStart + std::chrono::seconds(1L << 32) - 24h);
}

TEST_CASE("lease clock: what fails is tried again, more often towards the end and not for ever often") {
  LeaseClock clock(3600s, kStart);
  auto now = clock.due();
  int attempts = 0;
  while (!clock.is_over(now)) {
    clock.failed(now);
    CHECK(clock.due() - now >= 30s);
    CHECK(clock.due() - now <= 5min);
    now = clock.due();
    ++attempts;
  }
  CHECK(attempts >= 4);
  clock.failed(now);
  CHECK(clock.due() == now + 5min);
}
