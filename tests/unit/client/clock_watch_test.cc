// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/clock_watch.h"

#include <doctest/doctest.h>

using sixlink::client::ClockWatch;
using namespace std::chrono_literals;

namespace {

const ClockWatch::Steady kStart{1h};
const ClockWatch::Wall kWall{std::chrono::seconds(1772366400)};
const ClockWatch::Wall kLongAgo = kWall - 24h;

}  // namespace

TEST_CASE("clock watch: time that goes by is no step") {
  ClockWatch watch(kStart, kWall);
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(watch.look(kStart + i * 10s, kWall + i * 10s, kLongAgo));
  // Corrected a little, as is done all the time.
  CHECK_FALSE(watch.look(kStart + 3h, kWall + 3h + 59s, kLongAgo));
  CHECK_FALSE(watch.look(kStart + 4h, kWall + 4h - 59s, kLongAgo));
}

TEST_CASE("clock watch: a step is told once, forwards and backwards") {
  ClockWatch watch(kStart, kWall);
  for (const auto step : {std::chrono::seconds(30 * 365 * 24h), std::chrono::seconds(-2h), 90s, -60s}) {
    const auto set = kWall + step;
    CHECK(watch.look(kStart + 10s, set + 10s, kLongAgo));
    CHECK_FALSE(watch.look(kStart + 20s, set + 20s, kLongAgo));
    CHECK(watch.look(kStart + 30s, kWall + 30s, kLongAgo));
    CHECK_FALSE(watch.look(kStart + 40s, kWall + 40s, kLongAgo));
  }
}

TEST_CASE("clock watch: slow clocks that are corrected slowly come to a step as well") {
  ClockWatch watch(kStart, kWall);
  int told = 0;
  for (int i = 1; i <= 300; ++i) told += watch.look(kStart + i * 1h, kWall + i * (1h + 1s), kLongAgo) ? 1 : 0;
  CHECK(told == 5);
}

TEST_CASE("clock watch: the second from which a certificate is valid") {
  ClockWatch watch(kStart, kWall);
  const auto valid_from = kWall + 30s;
  CHECK_FALSE(watch.look(kStart, kWall, valid_from));
  CHECK_FALSE(watch.look(kStart + 29s, kWall + 29s, valid_from));
  CHECK(watch.look(kStart + 30s, kWall + 30s, valid_from));
  CHECK_FALSE(watch.look(kStart + 31s, kWall + 31s, valid_from));
  // The clock is set back to before, and on again.
  CHECK(watch.look(kStart + 40s, kWall - 2h, valid_from));
  CHECK(watch.look(kStart + 41s, kWall + 41s, valid_from));
  // A renewed one, valid since yesterday.
  CHECK_FALSE(watch.look(kStart + 42s, kWall + 42s, kLongAgo));
}
