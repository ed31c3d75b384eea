// SPDX-License-Identifier: BSD-3-Clause
#include "registry/broker/tunnel_server.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>

#include "src/net/ip_header.h"
#include "tests/unit/net/ipv4_packet.h"

using namespace sixlink;
using namespace sixlink::registry;
using datapath::Drop;
using sixlink::test::ipv4_packet;
using sixlink::test::ipv6_packet;
using sixlink::test::Packet;
using sixlink::test::v4;
using sixlink::test::v6;

namespace {

constexpr WallSeconds kNow = 1700000000;
const auto kHere = boost::asio::ip::make_address("198.51.100.1");

TunnelServer::Settings settings(std::size_t mtu = 1280) {
  return {*net::Prefix::parse("2001:db8:42::/48"), v6("2001:db8:42::1"), mtu};
}

Lease lease(std::int64_t id, const char* address, const char* prefix = nullptr,
            const char* outer = "192.0.2.1", std::uint16_t port = 4000) {
  Lease made;
  made.id = id;
  made.address = v6(address);
  if (prefix) made.prefix = net::Prefix::parse(prefix);
  made.outer_address = boost::asio::ip::make_address(outer);
  made.outer_port = port;
  return made;
}

Outer outer(const char* address = "192.0.2.1", std::uint16_t port = 4000) {
  return {LeaseMode::kV6UdpV4, boost::asio::ip::make_address(address), port};
}

// As a lane does it.
TunnelServer::Verdict as_lane(TunnelServer& server, const Outer& from, const boost::asio::ip::address& local,
                              const Packet& packet) {
  TunnelServer::Verdict unknown;
  unknown.drop = Drop::kUnknownPeer;
  auto* tunnel = server.find_sender(from, local, kNow);
  return tunnel ? server.from_client(*tunnel, packet) : unknown;
}

struct Fixture {
  TunnelServer server{settings()};

  Fixture() { server.put(lease(1, "2001:db8:42::2", "2001:db8:42:100::/56")); }
  TunnelServer::Verdict from_client(const Packet& packet, const Outer& from = outer()) {
    return as_lane(server, from, kHere, packet);
  }
};

// Type, code, parameter of an ICMPv6 error; checks that it is well formed and from the broker.
struct Icmp {
  int type;
  int code;
  unsigned parameter;
  friend bool operator==(const Icmp&, const Icmp&) = default;
};
Icmp icmp_of(const TunnelServer::Verdict& verdict, const net::AddressV6& to) {
  REQUIRE(verdict.drop);
  REQUIRE(verdict.error);
  const Packet bytes(verdict.error->bytes().begin(), verdict.error->bytes().end());
  const auto header = net::Ipv6Header::parse(bytes);
  REQUIRE(header);
  CHECK(header->source == v6("2001:db8:42::1"));
  CHECK(header->destination == to);
  CHECK(test::slow_icmpv6_checksum(bytes) == 0);
  return {bytes[40], bytes[41],
          bytes[44] * 0x1000000U + bytes[45] * 0x10000U + bytes[46] * 0x100U + bytes[47]};
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "tunnel server: a client's packet passes and tells where the client is") {
  CHECK_FALSE(from_client(ipv6_packet("2001:db8:42::2", "2001:db8::9", 100)).drop);
  CHECK_FALSE(from_client(ipv6_packet("2001:db8:42:1ff::77", "2001:db8::9", 100)).drop);
  const auto* tunnel = server.find_outer(outer());
  REQUIRE(tunnel);
  CHECK(tunnel->lease == 1);
  CHECK(server.local_of(*tunnel) == kHere);
  CHECK(tunnel->last_seen.load() == kNow);
  int active = 0;
  server.for_each_active([&](Tunnel& one) {
    ++active;
    one.last_seen = 0;
  });
  server.for_each_active([&](Tunnel&) { ++active; });
  CHECK(active == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "tunnel server: a spoofed inner source is refused with ICMPv6 source policy, and counted") {
  for (const char* source : {"2001:db8:42::3", "2001:db8:42:200::1", "2001:db8::9", "2001:db8:42::1"}) {
    CAPTURE(source);
    const auto verdict = from_client(ipv6_packet(source, "2001:db8::9"));
    CHECK(verdict.drop == Drop::kForeignSource);
    CHECK(icmp_of(verdict, v6(source)) == Icmp{1, 5, 0});
  }
  CHECK_FALSE(from_client(ipv6_packet("2001:db8:42::2", "2001:db8::9")).drop);
}

TEST_CASE_FIXTURE(Fixture, "tunnel server: who has no lease gets no answer") {
  for (const auto& other :
       {outer("192.0.2.2", 4000), outer("192.0.2.1", 4001),
        Outer{LeaseMode::kV6V4, boost::asio::ip::make_address("192.0.2.1"), 4000},
        Outer{LeaseMode::kV6V4, boost::asio::ip::make_address("192.0.2.1"), 0}, Outer{}}) {
    const auto verdict = from_client(ipv6_packet("2001:db8:42::2", "2001:db8::9"), other);
    CHECK(verdict.drop == Drop::kUnknownPeer);
    CHECK_FALSE(verdict.error);
  }
}

TEST_CASE_FIXTURE(Fixture, "tunnel server: link-local traffic and nonsense are dropped without an answer") {
  CHECK(from_client(ipv6_packet("fe80::1", "ff02::2")).drop == Drop::kLocalScope);
  CHECK(from_client(ipv6_packet("2001:db8:42::2", "ff02::1")).drop == Drop::kLocalScope);
  CHECK(from_client({}).drop == Drop::kMalformed);
  CHECK(from_client({0x60, 0, 0}).drop == Drop::kMalformed);
  CHECK(from_client(Packet(100, 0x45)).drop == Drop::kMalformed);
  CHECK(server.from_inside({}).drop == Drop::kMalformed);
  CHECK(server.from_inside(ipv6_packet("fe80::1", "ff02::2")).drop == Drop::kLocalScope);
  CHECK_FALSE(server.from_inside(ipv6_packet("fe80::1", "ff02::2")).error);
}

TEST_CASE_FIXTURE(Fixture, "tunnel server: from inside, each failure has its own ICMPv6 error") {
  const auto sender = v6("2001:db8::9");
  CHECK_FALSE(server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::2", 1280)).drop);
  CHECK(server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42:1ab::1")).tunnel->lease == 1);

  const auto none = server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::3"));
  CHECK(none.drop == Drop::kNoTunnel);
  CHECK(icmp_of(none, sender) == Icmp{1, 0, 0});

  server.put(lease(2, "2001:db8:42::3", nullptr, "0.0.0.0", 0));
  const auto away = server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::3"));
  CHECK(away.drop == Drop::kNotConnected);
  CHECK(icmp_of(away, sender) == Icmp{1, 3, 0});

  const auto big = server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::2", 1281));
  CHECK(big.drop == Drop::kTooBig);
  CHECK(icmp_of(big, sender) == Icmp{2, 0, 1280});

  TunnelServer larger{settings(1472)};
  larger.put(lease(1, "2001:db8:42::2"));
  CHECK_FALSE(larger.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::2", 1472)).drop);
  CHECK(icmp_of(larger.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::2", 1473)), sender) ==
        Icmp{2, 0, 1472});
}

TEST_CASE_FIXTURE(Fixture, "tunnel server: no more ICMPv6 errors than the budget until the next refill") {
  const auto errors = [&](int packets) {
    int count = 0;
    for (int i = 0; i < packets; ++i)
      count += server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::99")).error ? 1 : 0;
    return count;
  };
  CHECK(errors(1000) == 200);
  CHECK(errors(1000) == 0);
  CHECK(from_client(ipv6_packet("2001:db8:42::3", "2001:db8::9")).drop == Drop::kForeignSource);
  server.refill_errors();
  server.refill_errors();
  CHECK(errors(1000) == 200);
  // What may get no error uses none of it up.
  server.refill_errors();
  for (int i = 0; i < 500; ++i)
    CHECK_FALSE(
        server
            .from_inside(ipv6_packet(v6("2001:db8::9"), v6("2001:db8:42::99"), 58, {1, 0, 0, 0, 0, 0, 0, 0}))
            .error);
  CHECK(errors(1000) == 200);
}

TEST_CASE_FIXTURE(Fixture, "tunnel server: a client that renegotiates takes its tunnel over at once") {
  CHECK_FALSE(from_client(ipv6_packet("2001:db8:42::2", "2001:db8::9")).drop);
  server.put(lease(1, "2001:db8:42::2", "2001:db8:42:100::/56", "203.0.113.7", 999));
  CHECK(from_client(ipv6_packet("2001:db8:42::2", "2001:db8::9")).drop == Drop::kUnknownPeer);
  CHECK_FALSE(from_client(ipv6_packet("2001:db8:42::2", "2001:db8::9"), outer("203.0.113.7", 999)).drop);
  CHECK(server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::2")).tunnel->outer ==
        outer("203.0.113.7", 999));
  CHECK(server.size() == 1);
}

TEST_CASE_FIXTURE(
    Fixture,
    "tunnel server: our address that a client speaks to is forgotten when it moves, not when it asks again") {
  CHECK_FALSE(from_client(ipv6_packet("2001:db8:42::2", "2001:db8::9")).drop);
  server.put(lease(1, "2001:db8:42::2"));
  CHECK(server.local_of(*server.find_outer(outer())) == kHere);
  server.put(lease(1, "2001:db8:42::2", nullptr, "192.0.2.1", 4001));
  CHECK(server.local_of(*server.find_outer(outer("192.0.2.1", 4001))).is_unspecified());
}

TEST_CASE_FIXTURE(Fixture,
                  "tunnel server: an endpoint taken over by another lease disconnects its earlier one") {
  server.put(lease(2, "2001:db8:42::3"));
  CHECK(server.find_outer(outer())->lease == 2);
  CHECK(from_client(ipv6_packet("2001:db8:42::2", "2001:db8::9")).drop == Drop::kForeignSource);
  CHECK_FALSE(from_client(ipv6_packet("2001:db8:42::3", "2001:db8::9")).drop);
  CHECK(server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::2")).drop == Drop::kNotConnected);
  // The first one's end does not take the endpoint from the second.
  server.remove(1);
  CHECK(server.find_outer(outer())->lease == 2);
  CHECK(server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42:100::1")).drop == Drop::kNoTunnel);
  server.remove(2);
  server.remove(2);
  server.remove(77);
  CHECK(server.size() == 0);
  CHECK(server.find_outer(outer()) == nullptr);
}

TEST_CASE_FIXTURE(Fixture, "tunnel server: a changed prefix is no longer reached by the old one") {
  server.put(lease(1, "2001:db8:42::2", "2001:db8:42:300::/60"));
  CHECK(server.find(v6("2001:db8:42:100::1")) == nullptr);
  CHECK(server.find(v6("2001:db8:42:30f::1")) != nullptr);
  CHECK(server.find(v6("2001:db8:42:310::1")) == nullptr);
  server.put(lease(1, "2001:db8:42::2"));
  CHECK(server.find(v6("2001:db8:42:30f::1")) == nullptr);
}

namespace {

// Beside an IPv6 client, one of v4v6 with the prefix 203.0.113.8/29.
struct FixtureV4 {
  TunnelServer server{{*net::Prefix::parse("2001:db8:42::/48"), v6("2001:db8:42::1"), 1480, 1472, 1480, 1460,
                       v4("203.0.113.1")}};
  Outer place{LeaseMode::kV4V6, boost::asio::ip::make_address("2001:db8:77::7"), 0};

  FixtureV4() {
    server.put(lease(1, "2001:db8:42::2"));
    Lease four;
    four.id = 2;
    four.mode = LeaseMode::kV4V6;
    four.address = v6("::ffff:203.0.113.2");
    four.prefix = net::v4_mapped(*net::PrefixV4::parse("203.0.113.8/29"));
    four.outer_address = place.address;
    server.put(four, boost::asio::ip::make_address("2001:db8:99::1"));
  }
  TunnelServer::Verdict from_client(const Packet& packet) {
    return as_lane(server, place, boost::asio::ip::make_address("2001:db8:99::1"), packet);
  }
};

// Type and code of an ICMP error to `to`, and the MTU in it.
Icmp icmp_v4_of(const TunnelServer::Verdict& verdict, const char* to) {
  REQUIRE(verdict.error);
  const Packet bytes(verdict.error->bytes().begin(), verdict.error->bytes().end());
  const auto header = net::IpHeader::parse(bytes);
  REQUIRE(header);
  CHECK(header->source == v4("203.0.113.1"));
  CHECK(header->destination == v4(to));
  CHECK(header->next_header == 1);
  return {bytes[20], bytes[21], bytes[26] * 256U + bytes[27]};
}

}  // namespace

TEST_CASE_FIXTURE(FixtureV4, "tunnel server: IPv4 passes in both directions of a v4v6 tunnel") {
  CHECK(server.local_of(*server.find_outer(place)) == boost::asio::ip::make_address("2001:db8:99::1"));
  const auto verdict = from_client(ipv4_packet("203.0.113.2", "192.0.2.9", 100));
  CHECK_FALSE(verdict.drop);
  REQUIRE(verdict.tunnel);
  CHECK(verdict.tunnel->lease == 2);
  CHECK_FALSE(from_client(ipv4_packet("203.0.113.14", "192.0.2.9", 100)).drop);
  for (const char* target : {"203.0.113.2", "203.0.113.8", "203.0.113.15"}) {
    const auto back = server.from_inside(ipv4_packet("192.0.2.9", target));
    CHECK_FALSE(back.drop);
    REQUIRE(back.tunnel);
    CHECK(back.tunnel->outer == place);
  }
}

TEST_CASE_FIXTURE(FixtureV4, "tunnel server: spoofed IPv4 sources are refused and counted") {
  for (const char* source : {"203.0.113.1", "203.0.113.3", "203.0.113.16", "192.0.2.9"}) {
    const auto verdict = from_client(ipv4_packet(source, "192.0.2.9"));
    CHECK(verdict.drop == Drop::kForeignSource);
    CHECK(icmp_v4_of(verdict, source) == Icmp{3, 13, 0});
  }
  CHECK(from_client(ipv4_packet("169.254.1.1", "192.0.2.9")).drop == Drop::kLocalScope);
  auto broken = ipv4_packet("203.0.113.2", "192.0.2.9");
  broken[11] ^= 1;
  CHECK(from_client(broken).drop == Drop::kMalformed);
}

TEST_CASE_FIXTURE(FixtureV4, "tunnel server: the families do not mix") {
  const auto six = from_client(ipv6_packet("2001:db8:42::2", "2001:db8::9"));
  CHECK(six.drop == Drop::kForeignSource);
  CHECK_FALSE(six.error);
  CHECK(from_client(ipv6_packet("::ffff:203.0.113.2", "2001:db8::9")).drop == Drop::kForeignSource);
  const auto four = as_lane(server, outer(), kHere, ipv4_packet("203.0.113.2", "192.0.2.9"));
  CHECK(four.drop == Drop::kForeignSource);
  CHECK_FALSE(four.error);
  CHECK(server.from_inside(ipv6_packet("2001:db8::9", "::ffff:203.0.113.2")).drop == Drop::kNoTunnel);
  CHECK(server.from_inside(ipv4_packet("192.0.2.9", "203.0.113.3")).drop == Drop::kNoTunnel);
}

TEST_CASE_FIXTURE(FixtureV4, "tunnel server: each kind of failure has its own ICMP error") {
  CHECK(icmp_v4_of(server.from_inside(ipv4_packet("192.0.2.9", "203.0.113.3")), "192.0.2.9") ==
        Icmp{3, 0, 0});
  Lease away;
  away.id = 3;
  away.mode = LeaseMode::kV4V6;
  away.address = v6("::ffff:203.0.113.3");
  server.put(away);
  const auto verdict = server.from_inside(ipv4_packet("192.0.2.9", "203.0.113.3"));
  CHECK(verdict.drop == Drop::kNotConnected);
  CHECK(icmp_v4_of(verdict, "192.0.2.9") == Icmp{3, 1, 0});
}

TEST_CASE_FIXTURE(FixtureV4, "tunnel server: each mode has its own MTU") {
  const auto big = server.from_inside(ipv4_packet("192.0.2.9", "203.0.113.2", 1461));
  CHECK(big.drop == Drop::kTooBig);
  CHECK(icmp_v4_of(big, "192.0.2.9") == Icmp{3, 4, 1460});
  CHECK_FALSE(server.from_inside(ipv4_packet("192.0.2.9", "203.0.113.2", 1460)).drop);
  // Without DF the outer packet is fragmented.
  CHECK_FALSE(server.from_inside(ipv4_packet("192.0.2.9", "203.0.113.2", 17, Packet(1460), {}, 0)).drop);
  CHECK(icmp_of(server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::2", 1473)), v6("2001:db8::9")) ==
        Icmp{2, 0, 1472});
  auto direct = lease(1, "2001:db8:42::2", nullptr, "192.0.2.1", 0);
  direct.mode = LeaseMode::kV6V4;
  server.put(direct);
  CHECK_FALSE(server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::2", 1480)).drop);
  CHECK(icmp_of(server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::2", 1481)), v6("2001:db8::9")) ==
        Icmp{2, 0, 1480});
  CHECK(server.mtu_of(*server.find_outer({LeaseMode::kV6V4, direct.outer_address, 0})) == 1480);
}

TEST_CASE("tunnel server: agrees with a slow oracle over tens of thousands of random changes and look-ups") {
  std::mt19937 random(42);
  const auto pick = [&](unsigned below) { return static_cast<unsigned>(random() % below); };
  TunnelServer server(settings());
  std::map<std::int64_t, Lease> oracle;  // a lease whose endpoint was taken over has none

  // Prefixes of many lengths inside each other, addresses inside prefixes: more than a registry ever hands
  // out.
  const auto random_address = [&] {
    auto bytes = v6("2001:db8:42::").to_bytes();
    bytes[6] = static_cast<std::uint8_t>(pick(4));
    bytes[7] = static_cast<std::uint8_t>(pick(8) * 32);
    bytes[15] = static_cast<std::uint8_t>(pick(200));
    return net::AddressV6(bytes);
  };
  const auto find = [&](const net::AddressV6& inner) -> const Lease* {
    const Lease* best = nullptr;
    for (const auto& [id, candidate] : oracle) {
      if (candidate.address == inner) return &candidate;
      if (candidate.prefix && candidate.prefix->contains(inner) &&
          (!best || candidate.prefix->length > best->prefix->length))
        best = &candidate;
    }
    return best;
  };
  constexpr int kLengths[] = {48, 52, 55, 56, 57, 58, 59, 60, 64};
  for (int round = 0; round < 40000; ++round) {
    const std::int64_t id = 1 + pick(300);
    if (pick(4) == 0) {
      server.remove(id);
      oracle.erase(id);
    } else {
      Lease next;
      next.id = id;
      next.address = random_address();
      if (pick(3) != 0) {
        const int length = kLengths[pick(std::size(kLengths))];
        next.prefix = net::Prefix{net::mask(random_address(), length), length};
      }
      next.mode = pick(4) == 0 ? LeaseMode::kV6V4 : LeaseMode::kV6UdpV4;
      if (pick(8) != 0) {
        next.outer_address = boost::asio::ip::address_v4(0xc0000200U + pick(32));
        next.outer_port =
            next.mode == LeaseMode::kV6V4 ? std::uint16_t{0} : static_cast<std::uint16_t>(1 + pick(8));
      }
      // The book gives no address and no prefix twice.
      const bool is_taken = std::any_of(oracle.begin(), oracle.end(), [&](const auto& held) {
        return held.first != id &&
               (held.second.address == next.address || (next.prefix && held.second.prefix == next.prefix));
      });
      if (is_taken) continue;
      for (auto& [other_id, other] : oracle) {
        const bool is_same_place = !next.outer_address.is_unspecified() && other.mode == next.mode &&
                                   other.outer_address == next.outer_address &&
                                   other.outer_port == next.outer_port;
        if (other_id != id && is_same_place) other.outer_address = boost::asio::ip::address();
      }
      oracle[id] = next;
      server.put(next);
    }
    if (round % 4 == 0) {
      const auto inner = random_address();
      const auto* expected = find(inner);
      const auto* found = server.find(inner);
      REQUIRE((found ? found->lease : 0) == (expected ? expected->id : 0));
      const auto verdict = server.from_inside(ipv6_packet(v6("2001:db8::9"), inner, 17, Packet(8)));
      if (!expected) {
        REQUIRE(verdict.drop == Drop::kNoTunnel);
      } else if (expected->outer_address.is_unspecified()) {
        REQUIRE(verdict.drop == Drop::kNotConnected);
      } else {
        REQUIRE(verdict.tunnel);
        REQUIRE(verdict.tunnel->outer ==
                Outer{expected->mode, expected->outer_address, expected->outer_port});
      }
    }
    if (round % 500 == 0) {
      REQUIRE(server.size() == oracle.size());
      std::set<std::int64_t> connected;
      for (unsigned host = 0; host < 32; ++host) {
        for (unsigned port = 0; port <= 8; ++port) {
          const Outer place{port == 0 ? LeaseMode::kV6V4 : LeaseMode::kV6UdpV4,
                            boost::asio::ip::address_v4(0xc0000200U + host),
                            static_cast<std::uint16_t>(port)};
          if (const auto* tunnel = server.find_outer(place)) {
            REQUIRE(tunnel->outer == place);
            REQUIRE(connected.insert(tunnel->lease).second);
          }
        }
      }
      for (const auto& [held_id, held] : oracle)
        REQUIRE(connected.contains(held_id) == !held.outer_address.is_unspecified());
    }
  }
  while (!oracle.empty()) {
    server.remove(oracle.begin()->first);
    oracle.erase(oracle.begin());
  }
  CHECK(server.size() == 0);
  CHECK(server.find(v6("2001:db8:42::2")) == nullptr);
}
