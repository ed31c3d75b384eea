// SPDX-License-Identifier: BSD-3-Clause
#include "src/net/ipv4.h"

#include <doctest/doctest.h>

#include "tests/unit/net/ipv4_packet.h"

using namespace sixlink::net;
using sixlink::test::from_hex;
using sixlink::test::ipv4_packet;
using sixlink::test::Packet;
using sixlink::test::sealed;
using sixlink::test::v4;

TEST_CASE("ipv4: a header is read") {
  // A UDP packet of eight bytes, written by hand; its checksum by Python.
  const auto packet = from_hex(
      "4500001c1c4640004011324cc0000201c633640a"
      "0102030400080000");
  const auto header = Ipv4Header::parse(packet);
  REQUIRE(header);
  CHECK(header->source == v4("192.0.2.1"));
  CHECK(header->destination == v4("198.51.100.10"));
  CHECK(header->protocol == 17);
  CHECK(header->time_to_live == 64);
  CHECK(header->header_length == 20);
  CHECK(header->fragment_offset == 0);
  CHECK_FALSE(header->may_fragment);
}

TEST_CASE("ipv4: options and fragments are seen") {
  const auto options = ipv4_packet("192.0.2.1", "192.0.2.2", 6, Packet(20), Packet(40, 1), 0x2000 | 185);
  const auto header = Ipv4Header::parse(options);
  REQUIRE(header);
  CHECK(header->header_length == 60);
  CHECK(header->fragment_offset == 185);
  CHECK(header->may_fragment);
  CHECK(Ipv4Header::parse(ipv4_packet("192.0.2.1", "192.0.2.2", 6, {})));
}

TEST_CASE("ipv4: version, lengths and checksum must fit") {
  const auto good = ipv4_packet("192.0.2.1", "192.0.2.2", 40);
  REQUIRE(Ipv4Header::parse(good));
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK_FALSE(Ipv4Header::parse(std::span(good).first(size)));
  auto longer = good;
  longer.push_back(0);
  CHECK_FALSE(Ipv4Header::parse(longer));
  for (const int first : {0x40, 0x44, 0x4b, 0x4f, 0x65, 0x05, 0x55}) {
    auto other = good;
    other[0] = static_cast<std::uint8_t>(first);
    CAPTURE(first);
    // Options of 0x5a are not there: 0x4b has more header than packet.
    CHECK_FALSE(Ipv4Header::parse(first == 0x40 || first == 0x44 ? sealed(other) : other));
  }
  for (std::size_t bit = 0; bit < 20 * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << bit % 8));
    CAPTURE(bit);
    CHECK_FALSE(Ipv4Header::parse(bad));
  }
}
