// SPDX-License-Identifier: BSD-3-Clause
// Reading IPv6 headers and making ICMPv6 messages (RFC 8200, RFC 4443), on bytes alone. src/net/icmp.h has
// the same for either IP version.
#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <span>

#include "src/net/prefix.h"

namespace sixlink::net {

inline constexpr std::size_t kIpv6HeaderSize = 40;
inline constexpr std::uint8_t kNextHeaderIcmpv6 = 58;

// The fixed header of an inner packet, validated against the packet's size.
struct Ipv6Header {
  AddressV6 source;
  AddressV6 destination;
  std::uint8_t next_header = 0;
  std::uint8_t hop_limit = 0;
  std::size_t payload_length = 0;

  // nullopt: not version 6, shorter than its header, or
  // payload_length does not fit the bytes (jumbograms included).
  static std::optional<Ipv6Header> parse(std::span<const std::uint8_t> packet);
};

// RFC 4443 section 3.
struct IcmpError {
  std::uint8_t type;
  std::uint8_t code;
};
inline constexpr IcmpError kNoRoute{1, 0};
inline constexpr IcmpError kAddressUnreachable{1, 3};
inline constexpr IcmpError kSourcePolicy{1, 5};
inline constexpr IcmpError kPacketTooBig{2, 0};
inline constexpr IcmpError kTimeExceeded{3, 0};

// What follows type, code and checksum: four bytes and a body.
struct IcmpMessage {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint16_t high = 0;
  std::uint16_t low = 0;
  std::span<const std::uint8_t> body;
};

// One packet of ICMPv6 or ICMP, of at most kLargest bytes. A longer body is cut.
class IcmpPacket {
 public:
  static constexpr std::size_t kLargest = 1500;  // what a tunnel's path can be asked about
  IcmpPacket(const AddressV6& source, const AddressV6& destination, const IcmpMessage& message);
  IcmpPacket(const boost::asio::ip::address_v4& source, const boost::asio::ip::address_v4& destination,
             const IcmpMessage& message);
  std::span<const std::uint8_t> bytes() const { return {data_.data(), size_}; }

 private:
  // Behind a header of that size, without checksum.
  std::span<std::uint8_t> put(std::size_t header_size, const IcmpMessage& message);

  std::array<std::uint8_t, kLargest> data_{};
  std::size_t size_ = 0;
};

// An error about `packet` from `source` to its sender. nullopt where RFC 4443 section 2.4 e forbids one
// (about an ICMPv6 error or a redirect, to a multicast destination except packet too big, from a source that
// is not one node). `parameter` is the MTU of packet too big.
std::optional<IcmpPacket> make_error(IcmpError error, std::uint32_t parameter, const AddressV6& source,
                                     std::span<const std::uint8_t> packet);

IcmpPacket make_echo_request(const AddressV6& source, const AddressV6& destination, std::uint16_t identifier,
                             std::uint16_t sequence, std::span<const std::uint8_t> payload);

struct EchoReply {
  std::uint16_t identifier = 0;
  std::uint16_t sequence = 0;
  std::span<const std::uint8_t> payload;
  boost::asio::ip::address source;
  boost::asio::ip::address destination;
};
// nullopt unless `packet` (its header already parsed) is an
// echo reply with a right checksum and no extension headers.
std::optional<EchoReply> parse_echo_reply(const Ipv6Header& header, std::span<const std::uint8_t> packet);

// RFC 8200 section 8.1: over pseudo-header and payload. 0 when a checksum within is right.
std::uint16_t icmpv6_checksum(const AddressV6& source, const AddressV6& destination,
                              std::span<const std::uint8_t> icmp);

}  // namespace sixlink::net
