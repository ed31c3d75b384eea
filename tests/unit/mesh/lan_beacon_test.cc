// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/lan_beacon.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace sixlink;
using namespace std::chrono_literals;
using mesh::Beacon;
using mesh::LanBeacon;

namespace {

using Bytes = std::vector<std::uint8_t>;
using TimePoint = LanBeacon::TimePoint;

constexpr LanBeacon::Scope kScope = 3;

LanBeacon::Endpoint sender(unsigned number, LanBeacon::Scope scope = kScope) {
  auto address = boost::asio::ip::make_address_v6("fe80::" + std::to_string(number % 10000));
  address.scope_id(scope);
  return {address, 3653};
}

Bytes contact(std::uint8_t value) {
  return Bytes(100, value);
}

struct World {
  LanBeacon beacons{1};
  TimePoint now{1000s};
  Bytes own = contact(0);

  World() { beacons.set_scopes({kScope}, now); }
  bool hear(std::uint8_t value, unsigned from, LanBeacon::Scope scope = kScope) {
    const auto bytes = mesh::to_bytes({4000, contact(value)});
    return beacons.hear(bytes, sender(from, scope), own, now).has_value();
  }
};

}  // namespace

TEST_CASE("beacon: comes back as it was sent") {
  const auto der = contact(7);
  const auto bytes = mesh::to_bytes({4000, der});
  const auto beacon = mesh::parse_beacon(bytes);
  REQUIRE(beacon);
  CHECK(beacon->port == 4000);
  CHECK(std::ranges::equal(beacon->contact, der));
  // Neither control nor WireGuard: the first byte tells.
  CHECK((bytes[0] >> 4) == 5);
}

TEST_CASE("beacon: what is none is refused") {
  const auto good = mesh::to_bytes({4000, contact(7)});
  REQUIRE(mesh::parse_beacon(good));
  for (const std::size_t at : {0U, 1U, 2U, 3U, 4U}) {
    auto bad = good;
    bad[at] ^= 1;
    CHECK_FALSE(mesh::parse_beacon(bad));
  }
  CHECK_FALSE(mesh::parse_beacon(std::span(good).first(mesh::kBeaconHeader)));
  CHECK_FALSE(mesh::parse_beacon({}));
  CHECK_FALSE(mesh::parse_beacon(mesh::to_bytes({0, contact(7)})));
  CHECK_FALSE(mesh::parse_beacon(mesh::to_bytes({4000, Bytes(mesh::kLargestBeacon)})));
}

TEST_CASE("beacon: three soon after the start, then one in ten seconds") {
  World world;
  std::vector<std::chrono::milliseconds> times;
  for (int i = 0; i < 60000; i += 10) {
    const auto at = world.now + std::chrono::milliseconds(i);
    if (world.beacons.deadline() <= at && world.beacons.due(at) == std::vector{kScope})
      times.push_back(std::chrono::milliseconds(i));
  }
  REQUIRE(times.size() >= 7);
  CHECK(times[0] <= 510ms);
  CHECK(times[2] <= 2600ms);
  for (std::size_t i = 4; i < times.size(); ++i) {
    CHECK(times[i] - times[i - 1] >= 8990ms);
    CHECK(times[i] - times[i - 1] <= 11010ms);
  }
}

TEST_CASE("beacon: a sender's endpoint is where it is on this segment, at the port of its links") {
  World world;
  const auto bytes = mesh::to_bytes({4000, contact(7)});
  const auto heard = world.beacons.hear(bytes, sender(1), world.own, world.now);
  REQUIRE(heard);
  CHECK(heard->endpoint.port() == 4000);
  CHECK(heard->endpoint.address().to_v6().scope_id() == kScope);
}

TEST_CASE("beacon: a node that is heard for the first time hears us soon") {
  World world;
  for (int i = 0; i < 3; ++i) {
    world.now = std::max(world.now, world.beacons.deadline());
    world.beacons.due(world.now);
  }
  CHECK(world.beacons.deadline() > world.now + 2s);
  CHECK(world.hear(7, 1));
  CHECK(world.beacons.deadline() <= world.now + 500ms);
  world.now = world.beacons.deadline();
  world.beacons.due(world.now);
  CHECK_FALSE(world.hear(7, 1));
  CHECK(world.beacons.deadline() > world.now + 2s);
}

TEST_CASE("beacon: the same contact is handed on once in half a minute, a newer one at once") {
  World world;
  CHECK(world.hear(7, 1));
  CHECK_FALSE(world.hear(7, 1));
  CHECK(world.hear(8, 1));
  world.now += LanBeacon::kRepetition;
  CHECK(world.hear(8, 1));
}

TEST_CASE("beacon: our own, strangers' addresses and other segments are not looked at") {
  World world;
  CHECK_FALSE(world.hear(0, 1));
  CHECK_FALSE(world.hear(7, 1, kScope + 1));
  const auto bytes = mesh::to_bytes({4000, contact(7)});
  const LanBeacon::Endpoint global(boost::asio::ip::make_address("2001:db8::1"), 3653);
  CHECK_FALSE(world.beacons.hear(bytes, global, world.own, world.now));
  CHECK_FALSE(
      world.beacons.hear(bytes, {boost::asio::ip::make_address("192.0.2.1"), 3653}, world.own, world.now));
  CHECK(world.hear(7, 1));
}

TEST_CASE("beacon: a flood costs a bounded number of signatures, and then the next good one is heard") {
  World world;
  int handed_on = 0;
  for (unsigned i = 0; i < 5000; ++i)
    handed_on += world.hear(static_cast<std::uint8_t>(i % 250 + 1), 1) ? 1 : 0;
  CHECK(handed_on <= static_cast<int>(LanBeacon::kMostOfOneAtOnce));
  // Another one is not held up by that.
  CHECK(world.hear(9, 2));
  // With invented addresses.
  for (unsigned i = 0; i < 5000; ++i) handed_on += world.hear(7, 10 + i) ? 1 : 0;
  CHECK(handed_on <= static_cast<int>(LanBeacon::kMostAtOnce));
  CHECK(world.beacons.rate_limited() > 0);
  CHECK_FALSE(world.hear(9, 3));
  world.now += 1s;
  CHECK(world.hear(9, 3));
}

TEST_CASE("beacon: segments that go are forgotten, those that come are told soon") {
  World world;
  world.beacons.set_scopes({kScope, 9}, world.now);
  CHECK(world.hear(7, 1, 9));
  world.beacons.set_scopes({}, world.now);
  CHECK(world.beacons.deadline() == TimePoint::max());
  CHECK_FALSE(world.hear(8, 1));
}
