// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/port_mapping.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "src/net/big_endian.h"

using namespace sixlink;
using namespace std::chrono_literals;
using boost::asio::ip::make_address;
using mesh::MappingProtocol;
using mesh::PortMapping;
using mesh::Transport;

namespace {

using Bytes = std::vector<std::uint8_t>;
using TimePoint = PortMapping::TimePoint;

void put32(Bytes& bytes, std::size_t at, std::uint32_t value) {
  net::put16(bytes, at, value >> 16);
  net::put16(bytes, at + 2, value & 0xFFFF);
}

// A router that answers by the letter of the RFCs. What it has mapped: internal port and protocol to
// external.
struct Router {
  bool knows_pcp = true;
  bool knows_nat_pmp = true;
  bool is_silent = false;
  int pcp_result = 0;
  int nat_pmp_result = 0;
  std::uint32_t lifetime = 7200;
  Bytes outer{203, 0, 113, 9};
  Bytes outer_v6;  // empty: the client's own
  TimePoint started{};
  std::map<std::pair<int, int>, int> mapped;
  int requests = 0;

  std::uint32_t epoch(TimePoint now) const {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now - started).count());
  }
  void restart(TimePoint now) {
    started = now;
    mapped.clear();
  }
  int map(int protocol, const Bytes& ports_at, std::uint32_t wanted_life) {
    const int internal = net::get16(ports_at, 0);
    if (wanted_life == 0) {
      mapped.erase({protocol, internal});
      return 0;
    }
    const int wanted = net::get16(ports_at, 2);
    return mapped[{protocol, internal}] = wanted == 0 ? 40000 : wanted;
  }
  std::optional<Bytes> answer(const Bytes& request, TimePoint now) {
    ++requests;
    if (is_silent) return std::nullopt;
    if (request[0] == 2) {
      if (!knows_pcp) {
        if (!knows_nat_pmp) return std::nullopt;
        Bytes reply{0, static_cast<std::uint8_t>(request[1] | 0x80), 0, 1, 0, 0, 0, 0};
        put32(reply, 4, epoch(now));
        return reply;
      }
      Bytes reply = request;
      reply[1] |= 0x80;
      reply[3] = static_cast<std::uint8_t>(pcp_result);
      std::fill(reply.begin() + 8, reply.begin() + 24, std::uint8_t{0});
      put32(reply, 8, epoch(now));
      if (request[1] == 1) {
        const auto life = static_cast<std::uint32_t>(net::get16(request, 4)) << 16 | net::get16(request, 6);
        put32(reply, 4, std::min(life, lifetime));
        if (pcp_result == 0) {
          net::put16(reply, 42,
                     static_cast<std::size_t>(
                         map(request[36], Bytes(request.begin() + 40, request.begin() + 44), life)));
          // A firewall of IPv6's opens what was asked for; the client's address stands in the request's
          // header.
          const bool is_v6 =
              std::any_of(request.begin() + 8, request.begin() + 18, [](int b) { return b != 0; });
          if (is_v6 && outer_v6.empty())
            std::copy(request.begin() + 8, request.begin() + 24, reply.begin() + 44);
          else if (is_v6)
            std::copy(outer_v6.begin(), outer_v6.end(), reply.begin() + 44);
          else
            std::copy(outer.begin(), outer.end(), reply.begin() + 56);
        }
      }
      return reply;
    }
    if (!knows_nat_pmp) return std::nullopt;
    if (request[1] == 0) {
      Bytes reply{0, 128, 0, 0, 0, 0, 0, 0, outer[0], outer[1], outer[2], outer[3]};
      put32(reply, 4, epoch(now));
      return reply;
    }
    Bytes reply(16);
    reply[1] = request[1] | 0x80;
    net::put16(reply, 2, static_cast<std::size_t>(nat_pmp_result));
    put32(reply, 4, epoch(now));
    std::copy(request.begin() + 4, request.begin() + 6, reply.begin() + 8);
    const auto life = static_cast<std::uint32_t>(net::get16(request, 8)) << 16 | net::get16(request, 10);
    if (nat_pmp_result == 0) {
      net::put16(reply, 10,
                 static_cast<std::size_t>(
                     map(request[1] == 1 ? 17 : 6, Bytes(request.begin() + 4, request.begin() + 8), life)));
    }
    put32(reply, 12, std::min(life, lifetime));
    return reply;
  }
};

// The machine in front of a router, under a clock of its own.
struct World {
  Router router;
  PortMapping mapping{{{Transport::kUdp, 3653}, {Transport::kTcp, 443}}, 7};
  TimePoint now{100000s};
  std::vector<mesh::IgdJob> jobs;
  int changes = 0;
  bool is_port_closed = false;

  World() { router.started = now - 1000s; }
  void connect() {
    mapping.set_network(PortMapping::Network{make_address("192.0.2.2"), make_address("192.0.2.1")}, now);
    settle();
  }
  void connect_v6() {
    mapping.set_network(PortMapping::Network{make_address("2001:db8:1::2"), make_address("fe80::1%3")}, now);
    settle();
  }
  void settle() {
    for (int i = 0; i < 100; ++i) {
      const auto actions = mapping.take_actions();
      changes += actions.is_changed ? 1 : 0;
      if (actions.igd) jobs.push_back(*actions.igd);
      if (actions.datagrams.empty()) return;
      for (const auto& datagram : actions.datagrams) {
        if (is_port_closed) mapping.on_unreachable(now);
        if (const auto reply = router.answer(datagram, now)) mapping.input(*reply, false, now);
      }
    }
    FAIL("the machine does not come to rest");
  }
  // Ticks when it wants to.
  void pass(std::chrono::milliseconds time) {
    const auto end = now + time;
    for (int i = 0; i < 20000 && mapping.deadline() <= end; ++i) {
      now = std::max(now, mapping.deadline());
      mapping.tick(now);
      settle();
    }
    REQUIRE(mapping.deadline() > end);
    now = end;
  }
};

mesh::PortMapped mapped(Transport transport, int internal, const char* external, int port) {
  return {transport, static_cast<std::uint16_t>(internal), make_address(external),
          static_cast<std::uint16_t>(port)};
}

}  // namespace

TEST_CASE("port mapping: by PCP, both ports, with the router's outer address") {
  World world;
  CHECK(world.mapping.mapped().empty());
  world.connect();
  CHECK(world.mapping.protocol() == MappingProtocol::kPcp);
  CHECK(world.mapping.mapped() == std::vector{mapped(Transport::kUdp, 3653, "203.0.113.9", 3653),
                                              mapped(Transport::kTcp, 443, "203.0.113.9", 443)});
  CHECK(world.changes > 0);
  CHECK(world.mapping.problem().empty());
}

TEST_CASE("port mapping: a router that knows NAT-PMP only is found at once, without waiting") {
  World world;
  world.router.knows_pcp = false;
  world.connect();
  CHECK(world.mapping.protocol() == MappingProtocol::kNatPmp);
  CHECK(world.mapping.mapped() == std::vector{mapped(Transport::kUdp, 3653, "203.0.113.9", 3653),
                                              mapped(Transport::kTcp, 443, "203.0.113.9", 443)});
}

TEST_CASE("port mapping: NAT-PMP is also tried where PCP is not answered at all") {
  World world;
  world.router.knows_pcp = false;
  world.router.knows_nat_pmp = false;
  world.connect();
  CHECK(world.mapping.protocol() == MappingProtocol::kPcp);
  world.pass(3s);
  CHECK(world.mapping.protocol() == MappingProtocol::kPcp);
  world.router.knows_nat_pmp = true;
  // As one that says nothing to a version it does not know.
  world.router.is_silent = true;
  world.pass(700ms);
  world.router.is_silent = false;
  world.pass(1s);
  CHECK(world.mapping.protocol() == MappingProtocol::kNatPmp);
  CHECK(world.mapping.mapped().size() == 2);
}

TEST_CASE("port mapping: UPnP is the last resort, and is renewed before its time") {
  World world;
  world.router.is_silent = true;
  world.connect();
  world.pass(10s);
  REQUIRE(world.jobs.size() == 1);
  CHECK_FALSE(world.jobs[0].is_removal);
  CHECK(world.jobs[0].mappings.size() == 2);
  mesh::IgdResult result;
  result.id = world.jobs[0].id + 1;  // of another job
  result.mapped = {mapped(Transport::kUdp, 3653, "203.0.113.9", 50001)};
  world.mapping.on_igd(result, world.now);
  CHECK(world.mapping.mapped().empty());
  result.id = world.jobs[0].id;
  world.mapping.on_igd(result, world.now);
  CHECK(world.mapping.mapped() == result.mapped);
  CHECK(world.mapping.protocol() == MappingProtocol::kIgd);
  world.pass(PortMapping::kIgdRenewal + 1s);
  REQUIRE(world.jobs.size() == 2);
  CHECK(world.jobs[1].mappings[0].external_port == 50001);  // it asks for what it has
}

TEST_CASE("port mapping: a closed port is no reason to wait") {
  World world;
  world.router.is_silent = true;
  world.is_port_closed = true;
  world.connect();
  CHECK(world.jobs.size() == 1);
  CHECK(world.mapping.protocol() == MappingProtocol::kIgd);
}

TEST_CASE("port mapping: where nobody maps, all is tried again ten minutes later") {
  World world;
  world.router.is_silent = true;
  world.is_port_closed = true;
  world.connect();
  REQUIRE(world.jobs.size() == 1);
  mesh::IgdResult result;
  result.id = world.jobs[0].id;
  result.problem = "no UPnP gateway answers at 192.0.2.1";
  world.mapping.on_igd(result, world.now);
  world.settle();
  CHECK(world.mapping.problem() == result.problem);
  CHECK(world.mapping.protocol() == MappingProtocol::kNone);
  const int before = world.router.requests;
  world.pass(PortMapping::kRest - 1s);
  CHECK(world.router.requests == before);
  world.router.is_silent = false;
  world.is_port_closed = false;
  world.pass(2s);
  CHECK(world.mapping.mapped().size() == 2);
  CHECK(world.mapping.problem().empty());
}

TEST_CASE("port mapping: renewed at half of its life, and lost when nobody renews it") {
  World world;
  world.router.lifetime = 600;
  world.connect();
  REQUIRE(world.mapping.mapped().size() == 2);
  world.router.mapped.clear();
  world.pass(301s);
  CHECK(world.router.mapped.size() == 2);  // it has asked
  world.router.is_silent = true;
  world.pass(299s);
  CHECK(world.mapping.mapped().size() == 2);
  world.pass(400s);
  CHECK(world.mapping.mapped().empty());
}

TEST_CASE("port mapping: made anew when the router's epoch says that it has started again") {
  for (const bool is_pcp : {true, false}) {
    CAPTURE(is_pcp);
    World world;
    world.router.knows_pcp = is_pcp;
    world.connect();
    REQUIRE(world.mapping.mapped().size() == 2);
    world.pass(200s);
    CHECK(world.router.mapped.size() == 2);
    world.router.restart(world.now - 2s);
    world.router.outer = {203, 0, 113, 10};
    world.pass(PortMapping::kCheck + 1s);
    CHECK(world.router.mapped.size() == 2);
    REQUIRE(world.mapping.mapped().size() == 2);
    CHECK(world.mapping.mapped()[0].external == make_address("203.0.113.10"));
  }
}

TEST_CASE("port mapping: a router that says it has just started is asked again, but not for ever") {
  for (const bool is_pcp : {true, false}) {
    CAPTURE(is_pcp);
    World world;
    world.router.knows_pcp = is_pcp;
    world.connect();
    world.pass(2s);
    world.router.restart(world.now);
    // PCP's ANNOUNCE, unasked for; which protocol the router says it in does not matter.
    Bytes announcement(24);
    announcement[0] = 2;
    announcement[1] = 0x80;
    world.mapping.input(announcement, true, world.now);
    world.settle();
    world.pass(2500ms);  // the jitter
    CHECK(world.router.mapped.size() == 2);
    // Somebody repeats it all the time.
    const int before = world.router.requests;
    for (int i = 0; i < 1000; ++i) {
      world.mapping.input(announcement, true, world.now);
      world.pass(10ms);
    }
    CHECK(world.router.requests - before < 12);
    // A router that has run for long says so: nothing happens.
    const int then = world.router.requests;
    world.router.started = world.now - 10000s;
    net::put16(announcement, 10, 10000);
    world.pass(6s);
    world.mapping.input(announcement, true, world.now);
    world.mapping.input(announcement, true, world.now);
    world.settle();
    CHECK(world.router.requests - then < 6);
  }
}

TEST_CASE("port mapping: a refusal goes to the next protocol, and says why") {
  World world;
  world.router.pcp_result = 2;
  world.router.nat_pmp_result = 2;
  world.connect();
  CHECK(world.mapping.protocol() == MappingProtocol::kIgd);
  CHECK(world.mapping.problem() == "the router refuses: not authorized (2)");
  CHECK(world.jobs.size() == 1);
}

TEST_CASE("port mapping: removed at the end, also if the first request is lost") {
  for (const bool is_pcp : {true, false}) {
    CAPTURE(is_pcp);
    World world;
    world.router.knows_pcp = is_pcp;
    world.connect();
    REQUIRE(world.router.mapped.size() == 2);
    world.router.is_silent = true;
    world.mapping.leave(world.now);
    world.settle();
    CHECK_FALSE(world.mapping.has_left());
    world.router.is_silent = false;
    world.pass(400ms);
    CHECK(world.router.mapped.empty());
    CHECK(world.mapping.has_left());
    CHECK(world.mapping.mapped().empty());
  }
}

TEST_CASE("port mapping: the end comes within a second where nobody answers") {
  World world;
  world.connect();
  world.router.is_silent = true;
  world.mapping.leave(world.now);
  world.settle();
  world.pass(1s);
  CHECK(world.mapping.has_left());
}

TEST_CASE("port mapping: by UPnP too, whatever its job says in the meantime") {
  World world;
  world.is_port_closed = true;
  world.router.is_silent = true;
  world.connect();
  REQUIRE(world.jobs.size() == 1);
  mesh::IgdResult result;
  result.id = world.jobs[0].id;
  result.mapped = {mapped(Transport::kUdp, 3653, "203.0.113.9", 3653)};
  world.mapping.on_igd(result, world.now);
  world.mapping.leave(world.now);
  world.settle();
  REQUIRE(world.jobs.size() == 2);
  CHECK(world.jobs[1].is_removal);
  CHECK(world.jobs[1].mappings.size() == 1);
  CHECK_FALSE(world.mapping.has_left());
  result.id = world.jobs[1].id;
  world.mapping.on_igd(result, world.now);
  CHECK(world.mapping.has_left());
}

TEST_CASE("port mapping: what UPnP's helper was making when the end came is removed, too") {
  for (const bool is_made : {false, true}) {
    CAPTURE(is_made);
    World world;
    world.is_port_closed = true;
    world.router.is_silent = true;
    world.connect();
    REQUIRE(world.jobs.size() == 1);
    world.mapping.leave(world.now);
    world.settle();
    CHECK_FALSE(world.mapping.has_left());
    mesh::IgdResult result;
    result.id = world.jobs[0].id;
    if (is_made) result.mapped = {mapped(Transport::kTcp, 443, "203.0.113.9", 443)};
    world.mapping.on_igd(result, world.now);
    world.settle();
    CHECK(world.mapping.has_left() == !is_made);
    if (!is_made) continue;
    REQUIRE(world.jobs.size() == 2);
    CHECK(world.jobs[1].is_removal);
    CHECK(world.jobs[1].mappings.size() == 1);
    world.mapping.on_igd({world.jobs[1].id, {}, ""}, world.now);
    CHECK(world.mapping.has_left());
    CHECK(world.mapping.mapped().empty());
  }
}

TEST_CASE("port mapping: another network begins anew, none ends it") {
  World world;
  world.connect();
  REQUIRE(world.mapping.mapped().size() == 2);
  world.mapping.set_network(PortMapping::Network{make_address("192.0.2.2"), make_address("192.0.2.1")},
                            world.now);
  CHECK(world.mapping.mapped().size() == 2);  // it is the same
  world.mapping.set_network(std::nullopt, world.now);
  CHECK(world.mapping.mapped().empty());
  CHECK(world.mapping.take_actions().is_changed);
  CHECK(world.mapping.deadline() == TimePoint::max());
  world.mapping.set_network(PortMapping::Network{make_address("198.51.100.2"), make_address("198.51.100.1")},
                            world.now);
  world.settle();
  CHECK(world.mapping.mapped().size() == 2);
}

TEST_CASE("port mapping: answers that are not to what was asked change nothing") {
  World world;
  world.router.is_silent = true;
  world.connect();
  world.mapping.take_actions();
  Router other;
  other.started = world.now - 1000s;
  mesh::MapRequest request;
  request.internal_port = 3653;
  request.external_port = 3653;
  request.lifetime = 7200;
  request.nonce.fill(0x55);  // a guess
  auto reply = *other.answer(mesh::pcp_map(request, make_address("192.0.2.2")), world.now);
  world.mapping.input(reply, false, world.now);
  CHECK(world.mapping.mapped().empty());
  request.internal_port = 22;
  reply = *other.answer(mesh::nat_pmp_map(request), world.now);
  world.mapping.input(reply, false, world.now);
  CHECK(world.mapping.mapped().empty());
  // The request itself comes back.
  world.mapping.input(mesh::pcp_map(request, make_address("192.0.2.2")), false, world.now);
  CHECK(world.mapping.mapped().empty());
  // And the right answer is still taken.
  world.router.is_silent = false;
  world.pass(1s);
  CHECK(world.mapping.mapped().size() == 2);
}

TEST_CASE("port mapping: an outer address that cannot be one is not told") {
  World world;
  world.router.knows_pcp = false;
  world.router.outer = {0, 0, 0, 0};
  world.connect();
  world.pass(1s);
  CHECK(world.mapping.mapped().empty());
  world.router.outer = {203, 0, 113, 9};
  world.pass(61s);
  CHECK(world.mapping.mapped().size() == 2);
}

TEST_CASE(
    "port mapping: a firewall of IPv6's opens for the node's own address, by PCP, and closes at the end") {
  World world;
  world.connect_v6();
  CHECK(world.mapping.protocol() == MappingProtocol::kPcp);
  CHECK(world.mapping.mapped() == std::vector{mapped(Transport::kUdp, 3653, "2001:db8:1::2", 3653),
                                              mapped(Transport::kTcp, 443, "2001:db8:1::2", 443)});
  world.router.mapped.clear();
  world.pass(3601s);
  CHECK(world.router.mapped.size() == 2);  // renewed
  world.mapping.leave(world.now);
  world.settle();
  CHECK(world.router.mapped.empty());
  CHECK(world.mapping.has_left());
}

TEST_CASE("port mapping: requests of IPv6 name the address they are sent from, and ask for any of IPv6's") {
  World world;
  world.mapping.set_network(PortMapping::Network{make_address("2001:db8:1::2"), make_address("fe80::1%3")},
                            world.now);
  const auto actions = world.mapping.take_actions();
  REQUIRE(actions.datagrams.size() == 2);
  const auto own = boost::asio::ip::make_address_v6("2001:db8:1::2").to_bytes();
  for (const auto& datagram : actions.datagrams) {
    CHECK(datagram[0] == 2);
    CHECK(std::equal(own.begin(), own.end(), datagram.begin() + 8));
    CHECK(std::all_of(datagram.begin() + 44, datagram.end(), [](int byte) { return byte == 0; }));
  }
}

TEST_CASE("port mapping: a router of IPv6's is asked by nothing but PCP, and again ten minutes later") {
  for (const int kind : {0, 1, 2, 3}) {
    CAPTURE(kind);
    World world;
    world.router.is_silent = kind == 0 || kind == 1;
    world.is_port_closed = kind == 1;
    world.router.knows_pcp = kind != 2;  // it answers with NAT-PMP's version
    world.router.pcp_result = kind == 3 ? 2 : 0;
    world.connect_v6();
    world.pass(4s);
    CHECK(world.jobs.empty());
    CHECK(world.mapping.protocol() == MappingProtocol::kNone);
    CHECK(world.mapping.mapped().empty());
    CHECK(world.mapping.problem() ==
          (kind == 3 ? "the router refuses: not authorized (2)" : PortMapping::kNoPcp));
    const int before = world.router.requests;
    world.pass(PortMapping::kRest - 5s);
    CHECK(world.router.requests == before);
    world.router.is_silent = world.is_port_closed = false;
    world.router.knows_pcp = true;
    world.router.pcp_result = 0;
    world.pass(6s);
    CHECK(world.mapping.mapped().size() == 2);
    CHECK(world.mapping.problem().empty());
  }
}

TEST_CASE("port mapping: of IPv6 only a global address can be one that others reach") {
  const auto bytes_of = [](const char* text) {
    const auto bytes = boost::asio::ip::make_address_v6(text).to_bytes();
    return Bytes(bytes.begin(), bytes.end());
  };
  for (const char* outer : {"::", "::1", "fe80::9", "ff02::1", "::ffff:203.0.113.9"}) {
    CAPTURE(outer);
    World world;
    world.router.outer_v6 = bytes_of(outer);
    world.connect_v6();
    CHECK(world.mapping.mapped().empty());
  }
  // RFC 6296: a router that translates prefixes.
  World world;
  world.router.outer_v6 = bytes_of("2001:db8:2::2");
  world.connect_v6();
  REQUIRE(world.mapping.mapped().size() == 2);
  CHECK(world.mapping.mapped()[0].external == make_address("2001:db8:2::2"));
}

TEST_CASE("port mapping: a default route of IPv6 that goes and comes back") {
  World world;
  world.connect_v6();
  REQUIRE(world.mapping.mapped().size() == 2);
  world.mapping.set_network(std::nullopt, world.now);
  CHECK(world.mapping.mapped().empty());
  CHECK(world.mapping.deadline() == TimePoint::max());
  world.settle();
  world.connect_v6();
  CHECK(world.mapping.mapped().size() == 2);
}
