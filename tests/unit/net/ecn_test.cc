// SPDX-License-Identifier: BSD-3-Clause
#include "src/net/ecn.h"

#include <doctest/doctest.h>

#include "src/net/ip_header.h"
#include "tests/unit/net/ipv4_packet.h"

using namespace sixlink;
using namespace sixlink::net;
using sixlink::test::ipv4_packet;
using sixlink::test::ipv6_packet;
using sixlink::test::Packet;

namespace {

constexpr std::uint8_t kDropped = 0xff;
// RFC 6040 figure 4: [inner][outer], in the order Not-ECT, ECT(0), ECT(1), CE.
constexpr std::uint8_t kOrder[] = {kNotEct, kEct0, kEct1, kCongestionExperienced};
constexpr std::uint8_t kFigure4[4][4] = {
    {kNotEct, kNotEct, kNotEct, kDropped},
    {kEct0, kEct0, kEct1, kCongestionExperienced},
    {kEct1, kEct1, kEct1, kCongestionExperienced},
    {kCongestionExperienced, kCongestionExperienced, kCongestionExperienced, kCongestionExperienced}};

Packet packet_of(bool is_v6, std::uint8_t traffic_class) {
  if (is_v6) {
    auto packet = ipv6_packet("2001:db8::1", "2001:db8::2", 60);
    packet[0] = static_cast<std::uint8_t>(0x60 | traffic_class >> 4);
    packet[1] = static_cast<std::uint8_t>(traffic_class << 4 | 0x0a);  // and a flow label
    return packet;
  }
  auto packet = ipv4_packet("192.0.2.1", "192.0.2.2");
  packet[1] = traffic_class;
  return test::sealed(packet);
}

}  // namespace

TEST_CASE("ecn: decapsulation does what RFC 6040's figure says, and touches nothing else") {
  for (const bool is_v6 : {false, true}) {
    for (std::size_t inner = 0; inner < 4; ++inner) {
      for (std::size_t outer = 0; outer < 4; ++outer) {
        CAPTURE(is_v6);
        CAPTURE(inner);
        CAPTURE(outer);
        constexpr std::uint8_t kDscp = 0xb8;
        auto packet = packet_of(is_v6, kDscp | kOrder[inner]);
        // The outer DSCP does not count.
        const bool passes = decapsulate_ecn(packet, static_cast<std::uint8_t>(0x20 | kOrder[outer]));
        const auto expected = kFigure4[inner][outer];
        CHECK(passes == (expected != kDropped));
        if (!passes) continue;
        CHECK(packet == packet_of(is_v6, kDscp | expected));
        CHECK(ecn_of(packet) == expected);
        CHECK(IpHeader::parse(packet).has_value());
      }
    }
  }
}

TEST_CASE("ecn: what is no packet is left alone") {
  for (const auto& bytes :
       {Packet{}, Packet{0x60}, Packet{0x45}, Packet(19, 0x45), Packet(39, 0x60), Packet(60, 0x10)}) {
    auto packet = bytes;
    CHECK(ecn_of(packet) == kNotEct);
    CHECK(decapsulate_ecn(packet, kCongestionExperienced));
    CHECK(packet == bytes);
  }
}
