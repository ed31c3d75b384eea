// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/keepalive.h"

#include <doctest/doctest.h>

#include "tests/unit/net/ipv6_packet.h"

using namespace sixlink;
using namespace std::chrono_literals;
using sixlink::test::answer_echo;
using sixlink::test::Packet;
using sixlink::test::v6;
using tunnel::Keepalive;

namespace {

struct Fixture {
  Keepalive::TimePoint start{1000h};
  Keepalive::TimePoint now = start;
  Keepalive machine{settings(), start};

  static Keepalive::Settings settings() {
    Keepalive::Settings made;
    made.source = v6("2001:db8:f:f::2");
    made.destination = v6("2001:db8:f:f::1");
    made.identifier = 0x4711;
    made.cookie = 0x0123456789abcdefULL;
    return made;
  }

  // Goes on to the deadline; the echo that is due then.
  std::optional<Packet> next() {
    now = machine.deadline();
    return echo();
  }
  std::optional<Packet> echo() {
    const auto output = machine.tick(now);
    if (!output.echo) return std::nullopt;
    return Packet(output.echo->bytes().begin(), output.echo->bytes().end());
  }
  bool input(const Packet& packet) {
    const auto header = net::Ipv6Header::parse(packet);
    REQUIRE(header);
    return machine.input(*header, packet, now);
  }
};

}  // namespace

TEST_CASE_FIXTURE(
    Fixture,
    "keepalive: the first echo goes at once, the second soon, the others an interval after the answer") {
  CHECK(machine.deadline() == start);
  const auto first = echo();
  REQUIRE(first);
  CHECK(test::slow_icmpv6_checksum(*first) == 0);
  CHECK(machine.deadline() == start + 5s);
  CHECK_FALSE(echo());  // not twice
  now += 20ms;
  CHECK(input(answer_echo(*first)));
  CHECK(machine.rtt() == 20ms);
  CHECK(machine.last_reply() == now);
  CHECK(machine.deadline() == now + 3s);
  const auto second = next();
  REQUIRE(second);
  CHECK(input(answer_echo(*second)));
  CHECK(machine.deadline() == now + 30s);
  now += 30s - 1ms;
  CHECK_FALSE(echo());
  now += 1ms;
  CHECK(echo());
}

TEST_CASE_FIXTURE(Fixture, "keepalive: three echoes lost in a row are 15 s, then the tunnel is dead") {
  CHECK(next());
  CHECK(next());
  CHECK(machine.lost_in_a_row() == 1);
  CHECK(next());
  CHECK(machine.lost_in_a_row() == 2);
  CHECK(now == start + 10s);
  now = start + 15s - 1ms;
  CHECK_FALSE(machine.tick(now).is_dead);
  now = start + 15s;
  const auto output = machine.tick(now);
  CHECK(output.is_dead);
  CHECK_FALSE(output.echo);
  CHECK(machine.deadline() == Keepalive::TimePoint::max());
}

TEST_CASE_FIXTURE(Fixture, "keepalive: a dead tunnel is noticed within interval and three timeouts") {
  const auto first = next();
  REQUIRE(first);
  CHECK(input(answer_echo(*first)));
  bool is_dead = false;
  while (!is_dead && machine.deadline() != Keepalive::TimePoint::max())
    is_dead = machine.tick(machine.deadline()).is_dead;
  CHECK(is_dead);
  CHECK(*machine.last_reply() == start);
}

TEST_CASE_FIXTURE(Fixture, "keepalive: an answer in between starts the count over") {
  for (int round = 0; round < 10; ++round) {
    REQUIRE(next());
    REQUIRE(next());
    const auto third = next();
    REQUIRE(third);
    CHECK(machine.lost_in_a_row() == 2);
    now += 4999ms;
    REQUIRE(input(answer_echo(*third)));
    CHECK(machine.lost_in_a_row() == 0);
  }
}

TEST_CASE_FIXTURE(Fixture, "keepalive: a late answer proves the tunnel, but not the round-trip time") {
  const auto first = next();
  const auto second = next();
  REQUIRE(second);
  now += 100ms;
  CHECK(input(answer_echo(*first)));  // after 5.1 s
  CHECK(machine.lost_in_a_row() == 0);
  CHECK_FALSE(machine.rtt());
  CHECK(machine.last_reply() == now);
  CHECK(machine.deadline() == now + 3s);  // the first answer
}

TEST_CASE_FIXTURE(Fixture, "keepalive: a duplicate answer does not put the next echo off") {
  const auto first = next();
  CHECK(input(answer_echo(*first)));
  const auto deadline = machine.deadline();
  now += 10s;
  CHECK(input(answer_echo(*first)));
  CHECK(machine.deadline() == deadline);
}

TEST_CASE_FIXTURE(Fixture, "keepalive: forged answers do not count") {
  const auto request = *next();
  const auto good = answer_echo(request);
  const auto with = [&](std::size_t at, std::uint8_t value) {
    auto changed = request;
    changed[at] = value;
    return answer_echo(changed);
  };
  const std::size_t identifier = 44;
  const std::size_t cookie = 48;
  CHECK_FALSE(input(with(identifier, 0)));
  CHECK_FALSE(input(with(cookie, static_cast<std::uint8_t>(request[cookie] ^ 1))));
  CHECK_FALSE(input(with(cookie + 7, static_cast<std::uint8_t>(request[cookie + 7] ^ 0x80))));
  CHECK_FALSE(input(with(8 + 15, 9)));   // sent to another address than ours
  CHECK_FALSE(input(with(24 + 15, 9)));  // from another one than asked
  auto checksum = good;
  checksum[43] = static_cast<std::uint8_t>(checksum[43] ^ 1);
  CHECK_FALSE(input(checksum));
  CHECK_FALSE(input(request));  // our own echo reflected
  // Payload cut short or longer.
  for (const int extra : {-8, -1, 1, 100}) {
    auto resized = request;
    resized.resize(request.size() + static_cast<std::size_t>(extra));
    resized[5] = static_cast<std::uint8_t>(resized.size() - 40);
    CHECK_FALSE(input(answer_echo(resized)));
  }
  CHECK_FALSE(machine.last_reply());
  CHECK(input(good));  // and the real one still does
}

TEST_CASE_FIXTURE(Fixture,
                  "keepalive: trouble is looked into at once, but not with more than one echo at a time") {
  const auto first = next();
  machine.probe_soon(now);
  CHECK(machine.deadline() == start + 5s);
  CHECK(input(answer_echo(*first)));
  now += 3s;
  machine.probe_soon(now);
  CHECK(machine.deadline() == now);
  CHECK(echo());
  CHECK(machine.deadline() == now + 5s);
  machine.probe_soon(now + 1s);
  CHECK_FALSE(machine.tick(now + 1s).echo);
}

TEST_CASE_FIXTURE(Fixture, "keepalive: sequence numbers wrap without a gap in liveness") {
  for (int round = 0; round < 70000; ++round) {
    const auto request = next();
    REQUIRE(request);
    REQUIRE(input(answer_echo(*request)));
  }
  CHECK(machine.rtt() == 0us);
}
