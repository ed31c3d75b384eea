// SPDX-License-Identifier: BSD-3-Clause
#include "src/datapath/mesh_filter.h"

#include <doctest/doctest.h>

#include "tests/unit/net/ipv4_packet.h"

using namespace sixlink;
using namespace sixlink::datapath;
using sixlink::test::ipv4_packet;
using sixlink::test::ipv6_packet;
using sixlink::test::v6;
using Packet = std::vector<std::uint8_t>;

namespace {

MeshFilter node_filter() {
  MeshFilter filter;
  filter.network = *net::Prefix::parse("2001:db8:42::/48");
  filter.network_v4 = net::PrefixV4::parse("192.0.2.0/24");
  filter.own = *net::Prefix::parse("2001:db8:42:1::/64");
  return filter;
}

std::optional<Drop> in(const MeshFilter& filter, const char* source, const char* destination) {
  return filter.check_incoming(ipv6_packet(source, destination)).drop;
}
std::optional<Drop> out(const MeshFilter& filter, const char* source, const char* destination) {
  return filter.check_outgoing(ipv6_packet(source, destination)).drop;
}

Packet udp(const char* source, const char* destination, std::uint16_t port) {
  auto packet = ipv6_packet(source, destination);
  packet.resize(40);
  packet[4] = 0;
  packet[5] = 12;
  packet[6] = 17;
  const Packet upper{
      0x0e, 0x45, static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port), 0, 12, 0, 0, 1, 2,
      3,    4};
  packet.insert(packet.end(), upper.begin(), upper.end());
  return packet;
}

Packet icmp(const char* source, const char* destination, std::uint8_t type) {
  auto packet = udp(source, destination, 1);
  packet[6] = 58;
  packet[40] = type;
  return packet;
}

}  // namespace

TEST_CASE("mesh filter: what is of the network passes, whoever forwards it") {
  const auto filter = node_filter();
  CHECK_FALSE(in(filter, "2001:db8:42:7::1", "2001:db8:42:1::1"));
  CHECK_FALSE(in(filter, "2001:db8:42:7::1", "2001:db8:42:8::1"));
  CHECK_FALSE(out(filter, "2001:db8:42:1::1", "2001:db8:42:8::1"));
  CHECK_FALSE(out(filter, "2001:db8:42:9::1", "2001:db8:42:8::1"));
  CHECK_FALSE(filter.check_incoming(ipv4_packet("192.0.2.7", "192.0.2.9", 17, Packet(8))).drop);
}

TEST_CASE("mesh filter: what is not does not, unless there is a gateway") {
  auto filter = node_filter();
  CHECK(in(filter, "2001:db8:99::1", "2001:db8:42:1::1") == Drop::kForeignSource);
  CHECK(in(filter, "2001:db8:42:7::1", "2001:db8:99::1") == Drop::kForeignTarget);
  CHECK(out(filter, "2001:db8:99::1", "2001:db8:42:8::1") == Drop::kForeignSource);
  CHECK(out(filter, "2001:db8:42:1::1", "2001:db8:99::1") == Drop::kForeignTarget);
  CHECK(filter.check_incoming(ipv4_packet("198.51.100.1", "192.0.2.9", 17, Packet(8))).drop ==
        Drop::kForeignSource);
  filter.takes_foreign = true;
  CHECK_FALSE(in(filter, "2001:db8:99::1", "2001:db8:42:1::1"));
  CHECK_FALSE(in(filter, "2001:db8:42:7::1", "2001:db8:99::1"));
  CHECK_FALSE(out(filter, "2001:db8:42:1::1", "2001:db8:99::1"));
  // Whatever gateways there are: nobody else is this node.
  CHECK(in(filter, "2001:db8:42:1::1", "2001:db8:42:1::1") == Drop::kForeignSource);
}

TEST_CASE("mesh filter: malformed") {
  const auto filter = node_filter();
  CHECK(filter.check_incoming({}).drop == Drop::kMalformed);
  CHECK(filter.check_outgoing(Packet{0x60, 1, 2}).drop == Drop::kMalformed);
  CHECK(filter.check_incoming(Packet(60, 0x50)).drop == Drop::kMalformed);
}

TEST_CASE("mesh filter: neighbours speak Babel and ICMPv6 by link-local addresses, and nothing else") {
  const auto filter = node_filter();
  const auto check = [&](const Packet& packet) {
    const auto incoming = filter.check_incoming(packet);
    const auto outgoing = filter.check_outgoing(packet);
    CHECK(incoming.drop == outgoing.drop);
    CHECK_FALSE(incoming.is_control);
    // Ports and types decide: other packets between these two are asked about, too.
    CHECK(incoming.is_alone);
    CHECK(outgoing.is_alone);
    return incoming.drop;
  };
  CHECK_FALSE(check(udp("fe80::a", "ff02::1:6", kBabelPort)));
  CHECK_FALSE(check(udp("fe80::a", "fe80::b", kBabelPort)));
  CHECK_FALSE(check(icmp("fe80::a", "fe80::b", 128)));
  CHECK_FALSE(check(icmp("fe80::a", "fe80::b", 1)));
  CHECK(check(udp("fe80::a", "fe80::b", 53)) == Drop::kLocalScope);
  CHECK(check(udp("fe80::a", "fe80::b", kMeshControlPort)) == Drop::kLocalScope);
  CHECK(check(udp("fe80::a", "2001:db8:42:1::1", kBabelPort)) == Drop::kLocalScope);
  CHECK(check(udp("2001:db8:42:7::1", "ff02::1:6", kBabelPort)) == Drop::kLocalScope);
  CHECK(check(icmp("fe80::a", "fe80::b", 134)) == Drop::kLocalScope);  // router advertisement
  CHECK(check(icmp("fe80::a", "ff02::1", 134)) == Drop::kLocalScope);
  CHECK(check(icmp("fe80::a", "ff02::16", 143)) == Drop::kLocalScope);  // MLD
  CHECK(check(ipv6_packet("::", "ff02::16")) == Drop::kLocalScope);
}

TEST_CASE("mesh filter: of a link that is left the node hears the Babel, and says what it costs") {
  auto filter = node_filter();
  const auto hello = udp("fe80::a", "ff02::1:6", kBabelPort);
  CHECK_FALSE(filter.check_incoming(hello).is_control);
  CHECK_FALSE(filter.check_outgoing(hello).drop);
  filter.takes_babel = true;
  CHECK(filter.check_incoming(hello).is_control);
  CHECK_FALSE(filter.check_outgoing(hello).drop);
  CHECK_FALSE(filter.check_outgoing(icmp("fe80::a", "fe80::b", 128)).drop);
  CHECK_FALSE(filter.check_incoming(icmp("fe80::a", "fe80::b", 128)).is_control);
  CHECK_FALSE(filter.check_incoming(udp("2001:db8:42:7::1", "2001:db8:42:1::1", kBabelPort)).is_control);
  CHECK(filter.check_incoming(udp("2001:db8:42:7::1", "ff02::1:6", kBabelPort)).drop == Drop::kLocalScope);

  CHECK(babel_sender(hello) == v6("fe80::a"));
  CHECK_FALSE(babel_sender(udp("fe80::a", "ff02::1:6", kMeshControlPort)));
  CHECK_FALSE(babel_sender(udp("2001:db8:42:7::1", "2001:db8:42:1::1", kBabelPort)));
  CHECK_FALSE(babel_sender(Packet{0x60, 1, 2}));
}

TEST_CASE("mesh filter: what is said in Babel is that of RFC 8966") {
  const auto packet = make_babel_cost(v6("fe80::a"), 0x2000);
  CHECK(packet.size() == 40 + kBabelCostSize);
  CHECK(babel_sender(packet) == v6("fe80::a"));
  CHECK(Packet(packet.begin() + 24, packet.begin() + 40) ==
        Packet{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 6});
  CHECK(Packet(packet.begin() + 48, packet.end()) == Packet{42, 2, 0, 8, 5, 6, 0, 0, 0x20, 0, 0x17, 0x70});
  const auto request = make_babel_request(v6("fe80::b"));
  CHECK(babel_sender(request) == v6("fe80::b"));
  CHECK(Packet(request.begin() + 48, request.end()) == Packet{42, 2, 0, 4, 9, 2, 0, 0});
  // RFC 8200 section 8.1: with its own checksum the sum over everything is 0xffff.
  for (const auto& one : {packet, request}) {
    std::uint32_t sum = static_cast<std::uint32_t>(one.size()) - 40 + 17;
    for (std::size_t i = 8; i < one.size(); i += 2)
      sum += static_cast<std::uint32_t>(one[i] << 8 | one[i + 1]);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    CHECK(sum == 0xffff);
  }
}

TEST_CASE("mesh filter: a control message ends at the node, and the system can send none") {
  const auto filter = node_filter();
  const Packet message{0xF1, 2, 3, 4, 5};
  const auto packet = make_mesh_control(v6("fe80::1"), message);
  REQUIRE(packet.size() == 48 + message.size());
  CHECK(packet[7] == 1);
  const auto verdict = filter.check_incoming(packet);
  CHECK_FALSE(verdict.drop);
  CHECK(verdict.is_control);
  CHECK(filter.check_outgoing(packet).drop == Drop::kLocalScope);
  const auto payload = mesh_control_payload(packet);
  CHECK(Packet(payload.begin(), payload.end()) == message);
}

TEST_CASE("mesh filter: control messages of any size up to the largest") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{511}, kLongestMeshControl}) {
    Packet message(size);
    for (std::size_t i = 0; i < size; ++i) message[i] = static_cast<std::uint8_t>(i * 7);
    const auto packet = make_mesh_control(v6("fe80::1"), message);
    const auto payload = mesh_control_payload(packet);
    CHECK(Packet(payload.begin(), payload.end()) == message);
  }
  CHECK(make_mesh_control(v6("fe80::1"), Packet(kLongestMeshControl + 1)).empty());
}

TEST_CASE("mesh filter: a damaged control message is none") {
  const auto packet = make_mesh_control(v6("fe80::1"), Packet{1, 2, 3, 4});
  for (std::size_t i = 8; i < packet.size(); ++i) {
    auto damaged = packet;
    damaged[i] ^= 0x10;
    CAPTURE(i);
    CHECK(mesh_control_payload(damaged).empty());
  }
  CHECK(mesh_control_payload(std::span(packet).first(packet.size() - 1)).empty());
  CHECK(mesh_control_payload({}).empty());
}
