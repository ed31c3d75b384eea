// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/link_monitor.h"

#include <doctest/doctest.h>

using namespace sixlink;
using namespace std::chrono_literals;
using mesh::LinkMonitor;
using Verdict = mesh::LinkMonitor::Verdict;

namespace {

struct Monitored {
  mesh::SeededRandom random{1};
  LinkMonitor monitor;
  mesh::TimePoint now{1000s};

  Monitored() {
    monitor.begin(now, random);
    now += 100ms;
    REQUIRE(monitor.tick(now, false, random) == Verdict::kAsk);
  }
  void answer(std::chrono::milliseconds rtt) {
    const auto sequence = monitor.echo_sequence();
    now += rtt;
    monitor.answered(sequence, now);
    monitor.heard(now);
  }
  // To the next thing that it does; how long that took.
  Verdict next(bool was_late = false) {
    for (;;) {
      REQUIRE(monitor.due() != mesh::TimePoint::max());
      now = std::max(now, monitor.due());
      const auto verdict = monitor.tick(now, was_late, random);
      if (verdict != Verdict::kNothing) return verdict;
    }
  }
};

}  // namespace

TEST_CASE_FIXTURE(Monitored, "link monitor: three questions a quarter of a second apart, then it is dead") {
  answer(20ms);
  const auto began = now;
  CHECK(monitor.rtt() == 20ms);
  CHECK(next() == Verdict::kAsk);
  CHECK(now - began >= LinkMonitor::kIdle);
  CHECK(now - began <= 7s);
  CHECK_FALSE(monitor.is_suspect());
  const auto asked = now;
  CHECK(next() == Verdict::kAsk);
  CHECK(monitor.is_suspect());
  CHECK(next() == Verdict::kAsk);
  CHECK(next() == Verdict::kDead);
  CHECK(now - asked == 750ms);
}

TEST_CASE_FIXTURE(Monitored, "link monitor: anything heard ends the questions") {
  answer(20ms);
  CHECK(next() == Verdict::kAsk);
  CHECK(next() == Verdict::kAsk);
  now += 10ms;
  monitor.heard(now);
  CHECK_FALSE(monitor.is_suspect());
  const auto heard = now;
  CHECK(next() == Verdict::kAsk);
  CHECK(now - heard >= LinkMonitor::kIdle);
}

TEST_CASE_FIXTURE(Monitored, "link monitor: what is heard all the time is never asked") {
  answer(20ms);
  for (int i = 0; i < 1000; ++i) {
    now += 100ms;
    monitor.heard(now);
    if (now >= monitor.due()) CHECK(monitor.tick(now, false, random) == Verdict::kNothing);
  }
}

TEST_CASE_FIXTURE(Monitored, "link monitor: traffic without an answer is asked after at once") {
  answer(20ms);
  now += 100ms;
  monitor.sent(now);
  CHECK(monitor.tick(now, false, random) == Verdict::kNothing);
  now += 200ms;
  monitor.sent(now);
  CHECK(monitor.tick(now, false, random) == Verdict::kAsk);
  // It does not begin anew with each packet.
  const auto asked = now;
  for (int i = 0; i < 2; ++i) {
    now += 100ms;
    monitor.sent(now);
    CHECK(monitor.tick(now, false, random) == Verdict::kNothing);
  }
  CHECK(next() == Verdict::kAsk);
  CHECK(now - asked == LinkMonitor::kInterval);
}

TEST_CASE_FIXTURE(Monitored, "link monitor: a long round trip is waited for") {
  answer(600ms);
  CHECK(next() == Verdict::kAsk);
  const auto asked = now;
  CHECK(next() == Verdict::kAsk);
  CHECK(now - asked == 1200ms);
}

TEST_CASE_FIXTURE(Monitored, "link monitor: what loses much is asked more often before it is given up") {
  // Every third answer is lost.
  for (int i = 0; i < 90; ++i) {
    if (i % 3 == 0) {
      REQUIRE(next() == Verdict::kAsk);
    } else {
      REQUIRE(next() == Verdict::kAsk);
      answer(20ms);
    }
  }
  answer(20ms);
  CHECK(monitor.loss() > 0.25);
  CHECK(monitor.loss() < 0.4);
  unsigned asked = 0;
  while (next() == Verdict::kAsk) ++asked;
  CHECK(asked > LinkMonitor::kTries);
  CHECK(asked <= LinkMonitor::kMostTries);
}

TEST_CASE_FIXTURE(Monitored, "link monitor: who was asleep himself cannot blame the other") {
  answer(20ms);
  CHECK(next() == Verdict::kAsk);
  for (int i = 0; i < 10; ++i) CHECK(next(true) == Verdict::kAsk);
  CHECK(next() == Verdict::kAsk);
  CHECK(next() == Verdict::kAsk);
  CHECK(next() == Verdict::kDead);
}

TEST_CASE_FIXTURE(Monitored, "link monitor: answers to nothing, old ones and repeated ones say nothing") {
  answer(20ms);
  monitor.answered(0, now);
  monitor.answered(7, now);
  monitor.answered(0xFFFFFFF, now);
  now += 1s;
  monitor.answered(1, now);
  CHECK(monitor.rtt() == 20ms);
  CHECK(monitor.loss() == 0);
}

TEST_CASE_FIXTURE(
    Monitored, "link monitor: what another suspects is asked at once, and one answer less may be missing") {
  answer(20ms);
  now += 100ms;
  monitor.suspected(now);
  const auto asked = now;
  CHECK(next() == Verdict::kAsk);
  CHECK(now == asked);
  CHECK(next() == Verdict::kAsk);
  CHECK(next() == Verdict::kDead);
  CHECK(now - asked == 500ms);
}

TEST_CASE_FIXTURE(Monitored,
                  "link monitor: whoever answers is not suspected any more, and others cannot have him asked "
                  "all the time") {
  answer(20ms);
  monitor.suspected(now);
  CHECK(next() == Verdict::kAsk);
  answer(20ms);
  for (int i = 0; i < 10; ++i) {
    now += 100ms;
    monitor.suspected(now);
    CHECK(monitor.tick(now, false, random) == Verdict::kNothing);
  }
  monitor.ask(now);
  const auto began = now;
  CHECK(next() == Verdict::kAsk);
  CHECK(next() == Verdict::kAsk);
  CHECK(next() == Verdict::kAsk);
  CHECK(next() == Verdict::kDead);
  CHECK(now - began == 750ms);
}
