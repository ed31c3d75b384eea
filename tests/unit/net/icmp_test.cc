// SPDX-License-Identifier: BSD-3-Clause
#include "src/net/icmp.h"

#include <doctest/doctest.h>

#include <random>

#include "src/net/ip_header.h"
#include "tests/unit/net/ipv4_packet.h"

using namespace sixlink::net;
using sixlink::test::answer_echo;
using sixlink::test::from_hex;
using sixlink::test::ipv4_packet;
using sixlink::test::ipv6_packet;
using sixlink::test::Packet;
using sixlink::test::put_checksum;
using sixlink::test::sealed;
using sixlink::test::slow_checksum;
using sixlink::test::slow_icmpv6_checksum;
using sixlink::test::v4;
using sixlink::test::v6;

namespace {

using boost::asio::ip::address;

const address kBroker = v4("203.0.113.1");
const address kClient = v4("203.0.113.2");
const ErrorSource kSource{v6("2001:db8:f:f::1"), v4("203.0.113.1")};

Packet bytes_of(const IcmpPacket& packet) {
  return {packet.bytes().begin(), packet.bytes().end()};
}

Packet tail(const Packet& packet, std::size_t from) {
  return {packet.begin() + static_cast<std::ptrdiff_t>(from), packet.end()};
}

// ICMP of this type with eight bytes.
Packet icmp(std::uint8_t type, unsigned fragment = 0x4000) {
  return ipv4_packet("203.0.113.2", "192.0.2.9", 1, {type, 0, 0, 0, 0, 0, 0, 0}, {}, fragment);
}

bool makes_error(const Packet& packet, Undeliverable reason = Undeliverable::kUnrouted) {
  return make_error(reason, 1400, kSource, packet).has_value();
}

// What a host sends back for an ICMP echo request.
Packet answer_icmp_echo(Packet packet) {
  for (std::size_t i = 0; i < 4; ++i) std::swap(packet[12 + i], packet[16 + i]);
  packet[20] = 0;
  packet[22] = packet[23] = 0;
  put_checksum(packet, 22, slow_checksum(tail(packet, 20)));
  return packet;
}

}  // namespace

TEST_CASE("icmp: echo requests are those of an independent implementation") {
  // Made with Python's struct and socket.inet_aton.
  CHECK(bytes_of(make_echo_request(kClient, kBroker, 0x1234, 1, {})) ==
        from_hex("4500001c000040004001c2dccb007102cb0071010800e5ca12340001"));
  CHECK(bytes_of(make_echo_request(kClient, kBroker, 0xffff, 0xffff, Packet(3, 0xff))) ==
        from_hex("4500001f000040004001c2d9cb007102cb0071010800f8feffffffffffffff"));
  CHECK(bytes_of(make_echo_request(address(v6("2001:db8:f:f::2")), address(v6("2001:db8:f:f::1")), 0x1234, 1,
                                   {})) ==
        from_hex("6000000000083a4020010db8000f000f000000000000000220010db8000f000f0000000000000001800011d7123"
                 "40001"));
}

TEST_CASE("icmp: echo replies of both versions are read") {
  const auto packet = from_hex("45000025007740004001c25ccb007101cb00710200002cf9beef0007000102030405060708");
  const auto reply = parse_echo_reply(packet);
  REQUIRE(reply);
  CHECK(reply->identifier == 0xbeef);
  CHECK(reply->sequence == 7);
  CHECK(reply->source == kBroker);
  CHECK(reply->destination == kClient);
  CHECK(Packet(reply->payload.begin(), reply->payload.end()) == Packet{0, 1, 2, 3, 4, 5, 6, 7, 8});

  const auto six = answer_echo(
      bytes_of(make_echo_request(v6("2001:db8:f:f::2"), v6("2001:db8:f:f::1"), 77, 3, Packet{1, 2, 3})));
  const auto other = parse_echo_reply(six);
  REQUIRE(other);
  CHECK(other->identifier == 77);
  CHECK(other->source == address(v6("2001:db8:f:f::1")));
  CHECK(other->destination == address(v6("2001:db8:f:f::2")));
  CHECK_FALSE(parse_echo_reply(bytes_of(make_echo_request(kClient, kBroker, 1, 1, {}))));  // a request
  CHECK_FALSE(parse_echo_reply({}));
}

TEST_CASE("icmp: a reply in fragments, with another code or too short is none") {
  const auto message = [](std::uint8_t code, std::size_t size) {
    Packet icmp_bytes{0, code, 0, 0, 0, 1, 0, 1};
    icmp_bytes.resize(size);
    if (size >= 4) put_checksum(icmp_bytes, 2, slow_checksum(icmp_bytes));
    return icmp_bytes;
  };
  CHECK(parse_echo_reply(ipv4_packet("203.0.113.1", "203.0.113.2", 1, message(0, 8))));
  CHECK(parse_echo_reply(ipv4_packet("203.0.113.1", "203.0.113.2", 1, message(0, 8), Packet(8, 1))));
  CHECK_FALSE(parse_echo_reply(ipv4_packet("203.0.113.1", "203.0.113.2", 1, message(1, 8))));
  CHECK_FALSE(parse_echo_reply(ipv4_packet("203.0.113.1", "203.0.113.2", 1, message(0, 7))));
  CHECK_FALSE(parse_echo_reply(ipv4_packet("203.0.113.1", "203.0.113.2", 1, {})));
  CHECK_FALSE(parse_echo_reply(ipv4_packet("203.0.113.1", "203.0.113.2", 17, message(0, 8))));
  CHECK_FALSE(parse_echo_reply(ipv4_packet("203.0.113.1", "203.0.113.2", 1, message(0, 8), {}, 0x0001)));
}

TEST_CASE("icmp: any changed bit of an echo reply is noticed") {
  const auto good = answer_icmp_echo(bytes_of(make_echo_request(kClient, kBroker, 77, 3, Packet{1, 2, 3})));
  REQUIRE(parse_echo_reply(good));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << bit % 8));
    CAPTURE(bit);
    CHECK_FALSE(parse_echo_reply(bad));
  }
}

TEST_CASE("icmp: echo of every size, odd ones too, has right checksums") {
  Packet payload;
  for (std::size_t size = 0; size <= 1252; ++size) {
    const auto packet = bytes_of(make_echo_request(kClient, kBroker, 9, 9, payload));
    REQUIRE(packet.size() == 28 + size);
    REQUIRE(slow_checksum(tail(packet, 20)) == 0);
    REQUIRE(slow_checksum(Packet(packet.begin(), packet.begin() + 20)) == 0);
    payload.push_back(static_cast<std::uint8_t>(size * 7));
  }
  CHECK(bytes_of(make_echo_request(kClient, kBroker, 9, 9, Packet(5000, 1))).size() == IcmpPacket::kLargest);
}

TEST_CASE("icmp: an error names its reason, quotes the packet and goes to its sender") {
  struct Row {
    Undeliverable reason;
    int type;
    int code;
    int low;
    int v6_type;
    int v6_code;
  };
  const auto packet = ipv4_packet("203.0.113.2", "192.0.2.9", 101);
  const auto six = ipv6_packet("2001:db8:f:f::2", "2001:db8::9", 101);
  for (const auto& row :
       {Row{Undeliverable::kUnrouted, 3, 0, 0, 1, 0}, Row{Undeliverable::kUnreachable, 3, 1, 0, 1, 3},
        Row{Undeliverable::kForeignSource, 3, 13, 0, 1, 5}, Row{Undeliverable::kTooBig, 3, 4, 1400, 2, 0},
        Row{Undeliverable::kExpired, 11, 0, 0, 3, 0}}) {
    CAPTURE(row.type);
    CAPTURE(row.code);
    const auto error = make_error(row.reason, 1400, kSource, packet);
    REQUIRE(error);
    const auto bytes = bytes_of(*error);
    const auto header = IpHeader::parse(bytes);
    REQUIRE(header);
    CHECK(header->source == kBroker);
    CHECK(header->destination == kClient);
    CHECK(header->next_header == 1);
    CHECK(bytes[20] == row.type);
    CHECK(bytes[21] == row.code);
    CHECK(bytes[24] * 256 + bytes[25] == 0);
    CHECK(bytes[26] * 256 + bytes[27] == row.low);
    CHECK(tail(bytes, 28) == packet);
    CHECK(slow_checksum(tail(bytes, 20)) == 0);

    const auto other = bytes_of(*make_error(row.reason, 1400, kSource, six));
    CHECK(other[40] == row.v6_type);
    CHECK(other[41] == row.v6_code);
    CHECK(other[46] * 256 + other[47] == (row.reason == Undeliverable::kTooBig ? 1400 : 0));
    CHECK(slow_icmpv6_checksum(other) == 0);
  }
}

TEST_CASE("icmp: an error is at most 576 bytes") {
  for (const std::size_t size : {547U, 548U, 549U, 1500U, 65535U}) {
    const auto error =
        make_error(Undeliverable::kUnrouted, 0, kSource, ipv4_packet("203.0.113.2", "192.0.2.9", size));
    REQUIRE(error);
    CHECK(error->bytes().size() == std::min<std::size_t>(576, 28 + size));
    CHECK(slow_checksum(tail(bytes_of(*error), 20)) == 0);
  }
}

TEST_CASE("icmp: no error about an error, but about other ICMP") {
  for (const int type : {3, 4, 5, 11, 12}) CHECK_FALSE(makes_error(icmp(static_cast<std::uint8_t>(type))));
  for (const int type : {0, 8, 13, 14, 17, 42}) CHECK(makes_error(icmp(static_cast<std::uint8_t>(type))));
  CHECK_FALSE(makes_error(ipv4_packet("203.0.113.2", "192.0.2.9", 1, {})));  // the type is cut off
}

TEST_CASE("icmp: no error about later fragments, groups, networks and nobody") {
  CHECK(makes_error(icmp(8, 0x2000)));
  CHECK_FALSE(makes_error(icmp(8, 0x2001)));
  CHECK_FALSE(makes_error(icmp(8, 0x1fff)));
  CHECK_FALSE(makes_error(ipv4_packet("203.0.113.2", "224.0.0.5")));
  CHECK_FALSE(makes_error(ipv4_packet("203.0.113.2", "255.255.255.255")));
  for (const char* source : {"0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "127.0.0.1"})
    CHECK_FALSE(makes_error(ipv4_packet(source, "192.0.2.9")));
  CHECK_FALSE(makes_error({}));
  CHECK_FALSE(make_error(Undeliverable::kUnrouted, 0, {v6("2001:db8::1"), {}},
                         ipv4_packet("203.0.113.2", "192.0.2.9")));
}

TEST_CASE("icmp: what may be fragmented is not called too big") {
  const Packet payload(1400);
  CHECK(
      makes_error(ipv4_packet("203.0.113.2", "192.0.2.9", 17, payload, {}, 0x4000), Undeliverable::kTooBig));
  CHECK_FALSE(
      makes_error(ipv4_packet("203.0.113.2", "192.0.2.9", 17, payload, {}, 0), Undeliverable::kTooBig));
}

TEST_CASE("icmp: random packets are survived, and what is made is valid") {
  std::mt19937 random(20240602);
  int made = 0;
  for (int round = 0; round < 100000; ++round) {
    Packet packet(20 + random() % 60);
    for (auto& byte : packet) byte = static_cast<std::uint8_t>(random());
    packet[0] = static_cast<std::uint8_t>(0x45 + random() % 3);
    packet[2] = 0;
    packet[3] = static_cast<std::uint8_t>(packet.size());
    if (random() % 2 == 0) packet[6] = packet[7] = 0;
    if (random() % 2 == 0) packet[9] = 1;
    if (packet.size() >= (packet[0] & 15U) * 4U) packet = sealed(packet);
    (void)parse_echo_reply(packet);
    if (const auto error = make_error(Undeliverable::kUnrouted, 0, kSource, packet)) {
      ++made;
      REQUIRE(slow_checksum(tail(bytes_of(*error), 20)) == 0);
      REQUIRE(IpHeader::parse(error->bytes())->destination == IpHeader::parse(packet)->source);
      REQUIRE_FALSE(make_error(Undeliverable::kUnrouted, 0, kSource, error->bytes()));
    }
  }
  CHECK(made > 10000);
}
