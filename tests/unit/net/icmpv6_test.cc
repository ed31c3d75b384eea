// SPDX-License-Identifier: BSD-3-Clause
#include "src/net/icmpv6.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/net/ipv6_packet.h"

using namespace sixlink::net;
using sixlink::test::answer_echo;
using sixlink::test::from_hex;
using sixlink::test::ipv6_packet;
using sixlink::test::Packet;
using sixlink::test::slow_icmpv6_checksum;
using sixlink::test::v6;

namespace {

const AddressV6 kBroker = v6("2001:db8:f:f::1");
const AddressV6 kClient = v6("2001:db8:f:f::2");

Packet bytes_of(const IcmpPacket& packet) {
  return {packet.bytes().begin(), packet.bytes().end()};
}

// ICMPv6 of this type with eight bytes, behind no extension header.
Packet icmp(std::uint8_t type, const char* source = "2001:db8:f:f::2",
            const char* destination = "2001:db8::9") {
  return ipv6_packet(v6(source), v6(destination), 58, {type, 0, 0, 0, 0, 0, 0, 0});
}

bool makes_error(const Packet& packet, IcmpError error = kNoRoute) {
  return make_error(error, 0, kBroker, packet).has_value();
}

}  // namespace

TEST_CASE("icmpv6: echo requests are those of an independent implementation") {
  // Made with Python's struct and socket.inet_pton.
  CHECK(bytes_of(make_echo_request(kClient, kBroker, 0x1234, 1, {})) ==
        from_hex("6000000000083a4020010db8000f000f000000000000000220010db8000f000f0000000000000001800011d7123"
                 "40001"));
  const Packet ones(3, 0xff);
  CHECK(bytes_of(make_echo_request(kClient, kBroker, 0xffff, 0xffff, ones)) ==
        from_hex("60000000000b3a4020010db8000f000f000000000000000220010db8000f000f0000000000000001"
                 "80002508ffffffffffffff"));
}

TEST_CASE("icmpv6: echo replies are read") {
  const auto packet = from_hex(
      "6000000000113a4020010db8000f000f000000000000000120010db8000f000f00000000000000028100"
      "4ffcbeef0007000102030405060708");
  const auto header = Ipv6Header::parse(packet);
  REQUIRE(header);
  CHECK(header->source == kBroker);
  CHECK(header->destination == kClient);
  CHECK(header->hop_limit == 64);
  const auto reply = parse_echo_reply(*header, packet);
  REQUIRE(reply);
  CHECK(reply->identifier == 0xbeef);
  CHECK(reply->sequence == 7);
  CHECK(Packet(reply->payload.begin(), reply->payload.end()) == Packet{0, 1, 2, 3, 4, 5, 6, 7, 8});

  const auto empty = from_hex(
      "60000000000f3a40fd00000000000000fffffffffffffffffd0000000000000000000000000000018100c46e00000000"
      "7369786c696e6b");
  CHECK(parse_echo_reply(*Ipv6Header::parse(empty), empty));
}

TEST_CASE("icmpv6: any changed bit of an echo reply is noticed") {
  const auto good = answer_echo(bytes_of(make_echo_request(kClient, kBroker, 77, 3, Packet{1, 2, 3})));
  REQUIRE(parse_echo_reply(*Ipv6Header::parse(good), good));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    // Version, class, flow label and hop limit are not covered.
    if (bit / 8 < 4 || bit / 8 == 7) continue;
    auto bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << bit % 8));
    const auto header = Ipv6Header::parse(bad);
    CAPTURE(bit);
    CHECK_FALSE((header && parse_echo_reply(*header, bad)));
  }
}

TEST_CASE("icmpv6: echo of every size, odd ones too, has a right checksum") {
  std::mt19937 random(1);
  Packet payload;
  for (std::size_t size = 0; size <= 1232; ++size) {
    const auto packet = bytes_of(make_echo_request(kClient, kBroker, 9, 9, payload));
    REQUIRE(packet.size() == 48 + size);
    REQUIRE(slow_icmpv6_checksum(packet) == 0);
    REQUIRE(icmpv6_checksum(kClient, kBroker, std::span(packet).subspan(40)) == 0);
    payload.push_back(static_cast<std::uint8_t>(random()));
  }
  // Longer than it may be: cut.
  CHECK(bytes_of(make_echo_request(kClient, kBroker, 9, 9, Packet(5000, 1))).size() == IcmpPacket::kLargest);
}

TEST_CASE("icmpv6: header parsing wants version 6 and the exact length") {
  const auto good = ipv6_packet("2001:db8::1", "2001:db8::2", 60);
  CHECK(Ipv6Header::parse(good)->payload_length == 20);
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK_FALSE(Ipv6Header::parse(std::span(good).first(size)));
  auto longer = good;
  longer.push_back(0);
  CHECK_FALSE(Ipv6Header::parse(longer));
  for (const int version : {0, 4, 5, 7, 15}) {
    auto other = good;
    other[0] = static_cast<std::uint8_t>(version << 4);
    CHECK_FALSE(Ipv6Header::parse(other));
  }
  CHECK(Ipv6Header::parse(ipv6_packet(kClient, kBroker, 59, {})));  // no next header, no payload
}

TEST_CASE("icmpv6: an error quotes the packet, names its sender and has a right checksum") {
  const auto packet = ipv6_packet("2001:db8:f:f::2", "2001:db8::9", 101);
  const auto error = make_error(kPacketTooBig, 0x00010203, kBroker, packet);
  REQUIRE(error);
  const auto bytes = bytes_of(*error);
  const auto header = Ipv6Header::parse(bytes);
  REQUIRE(header);
  CHECK(header->source == kBroker);
  CHECK(header->destination == kClient);
  CHECK(header->next_header == 58);
  CHECK(slow_icmpv6_checksum(bytes) == 0);
  CHECK(bytes[40] == 2);
  CHECK(bytes[41] == 0);
  CHECK(Packet(bytes.begin() + 44, bytes.begin() + 48) == Packet{0, 1, 2, 3});
  CHECK(Packet(bytes.begin() + 48, bytes.end()) == packet);
}

TEST_CASE("icmpv6: an error never exceeds the minimum MTU") {
  for (const std::size_t size : {1231U, 1232U, 1233U, 1280U, 1500U, 9000U, 65575U}) {
    const auto packet = ipv6_packet("2001:db8:f:f::2", "2001:db8::9", size);
    const auto error = make_error(kNoRoute, 0, kBroker, packet);
    REQUIRE(error);
    CAPTURE(size);
    CHECK(error->bytes().size() == std::min<std::size_t>(1280, 48 + size));
    CHECK(slow_icmpv6_checksum(bytes_of(*error)) == 0);
  }
}

TEST_CASE("icmpv6: no error about an error or a redirect, but about other ICMPv6") {
  for (const int type : {0, 1, 2, 3, 4, 100, 127, 137}) {
    CAPTURE(type);
    CHECK_FALSE(makes_error(icmp(static_cast<std::uint8_t>(type))));
  }
  for (const int type : {128, 129, 135, 136, 138, 255}) {
    CAPTURE(type);
    CHECK(makes_error(icmp(static_cast<std::uint8_t>(type))));
  }
  // The type is cut off: it may be an error.
  CHECK_FALSE(makes_error(ipv6_packet(kClient, v6("2001:db8::9"), 58, {})));
}

TEST_CASE("icmpv6: no error to a multicast destination except packet too big") {
  CHECK_FALSE(makes_error(ipv6_packet("2001:db8::1", "ff02::1")));
  CHECK_FALSE(makes_error(ipv6_packet("2001:db8::1", "ff0e::1234"), kSourcePolicy));
  CHECK(makes_error(ipv6_packet("2001:db8::1", "ff0e::1234"), kPacketTooBig));
}

TEST_CASE("icmpv6: no error to a source that is not one node") {
  CHECK_FALSE(makes_error(ipv6_packet("::", "2001:db8::9")));
  CHECK_FALSE(makes_error(ipv6_packet("ff02::1", "2001:db8::9")));
  CHECK_FALSE(makes_error(ipv6_packet("ff0e::1", "2001:db8::9"), kPacketTooBig));
}

TEST_CASE("icmpv6: what is behind extension headers counts") {
  // Hop-by-hop (8 bytes), then destination options (16 bytes), then ICMPv6.
  const auto chain = [](std::uint8_t type) {
    Packet payload{60, 0, 1, 4, 0, 0, 0, 0, /* */ 58, 1};
    payload.resize(24);
    payload.insert(payload.end(), {type, 0, 0, 0, 0, 0, 0, 0});
    return ipv6_packet(kClient, v6("2001:db8::9"), 0, payload);
  };
  CHECK_FALSE(makes_error(chain(1)));
  CHECK_FALSE(makes_error(chain(137)));
  CHECK(makes_error(chain(128)));

  // First fragment, offset 0: the type can be seen. Later ones: never an error.
  const auto fragment = [](std::uint16_t offset_and_flags, std::uint8_t type) {
    return ipv6_packet(kClient, v6("2001:db8::9"), 44,
                       {58, 0, static_cast<std::uint8_t>(offset_and_flags >> 8),
                        static_cast<std::uint8_t>(offset_and_flags), 0, 0, 0, 1, type, 0, 0, 0, 0, 0, 0, 0});
  };
  CHECK(makes_error(fragment(0x0001, 128)));
  CHECK_FALSE(makes_error(fragment(0x0001, 1)));
  CHECK_FALSE(makes_error(fragment(0x0008, 128)));
  CHECK_FALSE(makes_error(fragment(0xfff8, 128)));

  // A header that says it is longer than the packet.
  CHECK_FALSE(makes_error(ipv6_packet(kClient, v6("2001:db8::9"), 0, {58, 255, 0, 0, 0, 0, 0, 0})));
  CHECK_FALSE(makes_error(ipv6_packet(kClient, v6("2001:db8::9"), 0, {58, 0, 0, 0, 0, 0, 0})));
  // A chain without end.
  Packet endless(8 * 100, 0);
  CHECK_FALSE(makes_error(ipv6_packet(kClient, v6("2001:db8::9"), 0, endless)));
  CHECK_FALSE(makes_error(ipv6_packet(kClient, v6("2001:db8::9"), 0, {})));
}

TEST_CASE("icmpv6: random packets are survived, and what is made is valid") {
  std::mt19937 random(20240601);
  constexpr std::uint8_t kHeaders[] = {0, 6, 17, 43, 44, 51, 58, 59, 60, 135, 255};
  int made = 0;
  for (int round = 0; round < 100000; ++round) {
    Packet packet(random() % 120);
    for (auto& byte : packet) byte = static_cast<std::uint8_t>(random());
    if (packet.size() >= 40 && round % 8 != 0) {
      packet[0] = 0x60;
      packet[4] = 0;
      packet[5] = static_cast<std::uint8_t>(packet.size() - 40);
      packet[6] = kHeaders[random() % std::size(kHeaders)];
      for (std::size_t i = 40; i < packet.size(); i += 8) {
        if (random() % 2 == 0) packet[i] = kHeaders[random() % std::size(kHeaders)];
        if (i + 1 < packet.size() && random() % 2 == 0)
          packet[i + 1] = static_cast<std::uint8_t>(random() % 3);
      }
    }
    const auto header = Ipv6Header::parse(packet);
    if (header) (void)parse_echo_reply(*header, packet);
    if (const auto error = make_error(kNoRoute, 0, kBroker, packet)) {
      ++made;
      REQUIRE(header.has_value());
      REQUIRE(slow_icmpv6_checksum(bytes_of(*error)) == 0);
      REQUIRE(Ipv6Header::parse(error->bytes())->destination == header->source);
    }
  }
  CHECK(made > 1000);
}
