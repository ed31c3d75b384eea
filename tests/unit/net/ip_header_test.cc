// SPDX-License-Identifier: BSD-3-Clause
#include "src/net/ip_header.h"

#include <doctest/doctest.h>

#include "tests/unit/net/ipv4_packet.h"

using namespace sixlink::net;
using sixlink::test::ipv4_packet;
using sixlink::test::ipv6_packet;
using sixlink::test::Packet;
using sixlink::test::v4;
using sixlink::test::v6;

namespace {

bool is_local(const Packet& packet) {
  const auto header = IpHeader::parse(packet);
  REQUIRE(header);
  return header->is_local_scope();
}

Packet v6_chain(std::uint8_t next_header, const Packet& payload) {
  return ipv6_packet(v6("2001:db8::1"), v6("2001:db8::2"), next_header, payload);
}

}  // namespace

TEST_CASE("ip header: both versions are read") {
  const auto six = IpHeader::parse(ipv6_packet("2001:db8::1", "2001:db8::2", 60));
  REQUIRE(six);
  CHECK(six->is_v6());
  CHECK(six->source == v6("2001:db8::1"));
  CHECK(six->destination == v6("2001:db8::2"));
  CHECK(six->next_header == 17);
  CHECK(six->payload_offset == 40);
  const auto four = IpHeader::parse(ipv4_packet("192.0.2.1", "192.0.2.2", 6, Packet(20), Packet(8, 1)));
  REQUIRE(four);
  CHECK_FALSE(four->is_v6());
  CHECK(four->source == v4("192.0.2.1"));
  CHECK(four->destination == v4("192.0.2.2"));
  CHECK(four->next_header == 6);
  CHECK(four->payload_offset == 28);
  for (const auto& packet : {Packet{}, Packet{0x45}, Packet{0x60}, Packet(40, 0x45), Packet(60, 0)})
    CHECK_FALSE(IpHeader::parse(packet));
}

TEST_CASE("ip header: what means this link only") {
  CHECK(is_local(ipv6_packet("fe80::1", "2001:db8::1")));
  CHECK(is_local(ipv6_packet("2001:db8::1", "fe80::1")));
  CHECK(is_local(ipv6_packet("::", "2001:db8::1")));
  CHECK(is_local(ipv6_packet("2001:db8::1", "ff0e::1")));
  CHECK_FALSE(is_local(ipv6_packet("2001:db8::1", "fd00::1")));
  CHECK(is_local(ipv4_packet("169.254.3.4", "192.0.2.1")));
  CHECK(is_local(ipv4_packet("192.0.2.1", "169.254.0.1")));
  CHECK(is_local(ipv4_packet("0.0.0.0", "192.0.2.1")));
  CHECK(is_local(ipv4_packet("192.0.2.1", "224.0.0.1")));
  CHECK(is_local(ipv4_packet("192.0.2.1", "255.255.255.255")));
  CHECK_FALSE(is_local(ipv4_packet("169.253.3.4", "10.0.0.1")));
}

TEST_CASE("ip header: the upper layer is found behind extension headers and options") {
  auto found = find_upper_layer(ipv4_packet("192.0.2.1", "192.0.2.2", 6, Packet(20), Packet(12, 1)));
  REQUIRE(found);
  CHECK(found->protocol == 6);
  CHECK(found->offset == 32);
  CHECK(find_upper_layer(ipv4_packet("192.0.2.1", "192.0.2.2", 6, Packet(24), {}, 0x2000))->offset == 20);
  CHECK_FALSE(find_upper_layer(ipv4_packet("192.0.2.1", "192.0.2.2", 6, Packet(24), {}, 0x2001)));

  found = find_upper_layer(v6_chain(0, {60, 0, 1, 4, 0, 0, 0, 0, /* */ 6, 0, 1, 4, 0, 0, 0, 0}));
  REQUIRE(found);
  CHECK(found->protocol == 6);
  CHECK(found->offset == 56);
  CHECK(find_upper_layer(v6_chain(44, {6, 0, 0, 1, 0, 0, 0, 9}))->offset == 48);
  CHECK_FALSE(find_upper_layer(v6_chain(44, {6, 0, 0, 8, 0, 0, 0, 9})));
  CHECK_FALSE(find_upper_layer(v6_chain(0, {6, 1, 0, 0, 0, 0, 0, 0})));  // longer than the packet
  CHECK_FALSE(find_upper_layer(v6_chain(0, {6, 0, 0, 0, 0, 0, 0})));
  CHECK(find_upper_layer(v6_chain(51, {6, 4, 0, 0, 0, 0, 0, 0}))->protocol ==
        51);  // AH protects what follows
  CHECK_FALSE(find_upper_layer(v6_chain(0, Packet(800, 0))));
  CHECK_FALSE(find_upper_layer({}));
}
