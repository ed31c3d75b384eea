// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/keepalive.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <random>
#include <vector>

using namespace sixlink;
using namespace std::chrono_literals;
using tunnel::EchoMessage;
using tunnel::Keepalive;

namespace {

struct Fixture {
  Keepalive::TimePoint start{1000h};
  Keepalive::TimePoint now = start;
  Keepalive machine{settings(), start};

  static Keepalive::Settings settings() {
    Keepalive::Settings made;
    made.identifier = 0x4711;
    made.cookie = 0x0123456789abcdefULL;
    return made;
  }

  std::optional<EchoMessage> echo() { return machine.tick(now).echo; }
  // Goes on to the deadline; the echo that is due then.
  std::optional<EchoMessage> next() {
    now = machine.deadline();
    return echo();
  }
  bool answer(const EchoMessage& echo) {
    std::array<std::uint8_t, 8> payload;
    std::memcpy(payload.data(), &echo.cookie, payload.size());
    return machine.input({echo.identifier, echo.sequence, payload, {}, {}}, now);
  }
  // Up, idle, the second echo answered: the next one is due in 30 s.
  void settle() {
    REQUIRE(answer(*next()));
    REQUIRE(answer(*next()));
    REQUIRE(machine.deadline() == now + 30s);
  }
  // Runs without an answer until the tunnel is given up; how long that took.
  Keepalive::TimePoint::duration time_to_death() {
    const auto from = now;
    for (int guard = 0; guard < 1000; ++guard) {
      now = machine.deadline();
      if (machine.tick(now).is_dead) return now - from;
    }
    return Keepalive::TimePoint::duration::max();
  }
};

}  // namespace

TEST_CASE_FIXTURE(
    Fixture,
    "keepalive: the first echo goes at once, the second soon, the others an interval after the answer") {
  CHECK(machine.deadline() == start);
  const auto first = echo();
  REQUIRE(first);
  CHECK(first->packet_size == 0);
  CHECK_FALSE(echo());  // not twice
  now += 20ms;
  CHECK(answer(*first));
  CHECK(machine.rtt() == 20ms);
  CHECK(machine.last_reply() == now);
  CHECK(machine.deadline() == now + 3s);
  const auto second = next();
  REQUIRE(second);
  CHECK(answer(*second));
  CHECK(machine.deadline() == now + 30s);
  now += 30s - 1ms;
  CHECK_FALSE(echo());
  now += 1ms;
  CHECK(echo());
}

TEST_CASE_FIXTURE(Fixture, "keepalive: three questions lost in a row are 15 s, then the tunnel is dead") {
  int echoes = 0;
  while (machine.lost_in_a_row() < 1) echoes += next() ? 1 : 0;
  CHECK(now == start + 5s);
  CHECK(echoes == 5);  // four, and the first of the next question
  while (machine.lost_in_a_row() < 2) REQUIRE(next());
  CHECK(now == start + 10s);
  now = start + 15s - 1ms;
  CHECK_FALSE(machine.tick(now).is_dead);
  now = start + 15s;
  const auto output = machine.tick(now);
  CHECK(output.is_dead);
  CHECK_FALSE(output.echo);
  CHECK(machine.deadline() == Keepalive::TimePoint::max());
}

TEST_CASE_FIXTURE(Fixture,
                  "keepalive: an idle tunnel that died is noticed within interval and three timeouts") {
  settle();
  CHECK(time_to_death() == 45s);
}

TEST_CASE_FIXTURE(Fixture, "keepalive: packets that go out while none come in: dead within 10 s") {
  settle();
  // The worst case: the first packet is sent just after the tunnel was looked at.
  now += 7s;
  std::uint64_t out = 5;
  machine.observe(9, out, now);
  const auto broke = now;
  bool is_dead = false;
  for (; !is_dead && now < broke + 60s; now += 50ms) {
    if ((now - broke) % 1s == 999ms || (now - broke) % 1s == 950ms) machine.observe(9, ++out, now);
    is_dead = machine.tick(now).is_dead;
  }
  CHECK(is_dead);
  CHECK(now - broke <= 10s);
}

TEST_CASE_FIXTURE(Fixture, "keepalive: traffic in both directions, or none, asks nothing early") {
  settle();
  const auto due = machine.deadline();
  machine.observe(1, 1, now);
  for (int second = 1; second < 20; ++second)
    machine.observe(1 + static_cast<unsigned>(second), 1 + static_cast<unsigned>(second), now + second * 1s);
  CHECK(machine.deadline() == due);
  for (int second = 20; second < 29; ++second) machine.observe(21, 21, now + second * 1s);
  CHECK(machine.deadline() == due);
}

TEST_CASE_FIXTURE(Fixture,
                  "keepalive: a stream that nobody answers costs an echo every few seconds, no more") {
  settle();
  int echoes = 0;
  std::uint64_t out = 0;
  for (int second = 0; second < 60; ++second, now += 1s) {
    machine.observe(0, out += 100, now);
    while (const auto due = echo()) {
      ++echoes;
      REQUIRE(answer(*due));
    }
  }
  CHECK(echoes >= 10);
  CHECK(echoes <= 30);
  CHECK(machine.lost_in_a_row() == 0);
}

TEST_CASE_FIXTURE(Fixture, "keepalive: a line that loses half the packets each way is no dead tunnel") {
  std::mt19937 random(6);
  int deaths = 0;
  for (int run = 0; run < 200; ++run) {
    Keepalive line(settings(), start);
    for (auto at = start; at < start + 600s; at = line.deadline()) {
      const auto output = line.tick(at);
      if (output.is_dead) {
        ++deaths;
        break;
      }
      if (!output.echo || random() % 4 != 0) continue;
      std::array<std::uint8_t, 8> payload;
      std::memcpy(payload.data(), &output.echo->cookie, payload.size());
      line.input({output.echo->identifier, output.echo->sequence, payload, {}, {}}, at + 50ms);
    }
  }
  // About twenty questions a run, each lost altogether with a probability of 0.75^12, a thirtieth.
  CHECK(deaths < 120);
}

TEST_CASE_FIXTURE(Fixture, "keepalive: an address that never answered may be mute, one that did may not") {
  auto mute = settings();
  mute.may_be_mute = true;
  machine = Keepalive(mute, now);
  for (int round = 0; round < 500; ++round) {
    now = machine.deadline();
    REQUIRE_FALSE(machine.tick(now).is_dead);
    machine.observe(0, static_cast<std::uint64_t>(round), now);
  }
  CHECK(now - start > 20min);
  while (!answer(*next())) {
  }
  CHECK(time_to_death() < 60s);
}

TEST_CASE_FIXTURE(Fixture, "keepalive: an answer in between starts the count over") {
  for (int round = 0; round < 10; ++round) {
    while (machine.lost_in_a_row() < 2) REQUIRE(next());
    const auto last = next();
    REQUIRE(last);
    now += 10ms;
    REQUIRE(answer(*last));
    CHECK(machine.lost_in_a_row() == 0);
  }
}

TEST_CASE_FIXTURE(Fixture, "keepalive: a late answer proves the tunnel, but not the round-trip time") {
  const auto first = next();
  REQUIRE(next());
  now += 100ms;
  CHECK(answer(*first));
  CHECK(machine.lost_in_a_row() == 0);
  CHECK_FALSE(machine.rtt());
  CHECK(machine.last_reply() == now);
  CHECK(machine.deadline() == now + 3s);  // the first answer
}

TEST_CASE_FIXTURE(Fixture, "keepalive: a duplicate answer does not put the next echo off") {
  const auto first = next();
  CHECK(answer(*first));
  const auto deadline = machine.deadline();
  now += 1s;
  CHECK(answer(*first));
  CHECK(machine.deadline() == deadline);
}

TEST_CASE_FIXTURE(Fixture, "keepalive: forged answers do not count") {
  const auto request = *next();
  auto forged = request;
  forged.identifier = 0;
  CHECK_FALSE(answer(forged));
  forged = request;
  forged.cookie ^= 1;
  CHECK_FALSE(answer(forged));
  std::vector<std::uint8_t> payload(9);
  std::memcpy(payload.data(), &request.cookie, 8);
  CHECK_FALSE(machine.input({request.identifier, request.sequence, payload, {}, {}}, now));
  CHECK_FALSE(
      machine.input({request.identifier, request.sequence, std::span(payload).first(7), {}, {}}, now));
  CHECK_FALSE(machine.input({request.identifier, request.sequence, {}, {}, {}}, now));
  CHECK_FALSE(machine.last_reply());
  CHECK(answer(request));  // and the real one still does
}

TEST_CASE_FIXTURE(Fixture, "keepalive: trouble is looked into at once, and impatiently") {
  settle();
  now += 3s;
  machine.probe_soon(now);
  CHECK(machine.deadline() == now);
  CHECK(time_to_death() == 6s);
}

TEST_CASE_FIXTURE(Fixture, "keepalive: errors one after the other make no flood of echoes") {
  settle();
  int echoes = 0;
  for (int step = 0; step < 1000; ++step, now += 1ms) {
    machine.probe_soon(now);
    echoes += echo() ? 1 : 0;
  }
  CHECK(echoes == 2);
}

TEST_CASE_FIXTURE(Fixture, "keepalive: sequence numbers wrap without a gap in liveness") {
  for (int round = 0; round < 70000; ++round) {
    const auto request = next();
    REQUIRE(request);
    REQUIRE(answer(*request));
  }
  CHECK(machine.rtt() == 0us);
}
