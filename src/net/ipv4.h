// SPDX-License-Identifier: BSD-3-Clause
// Reading IPv4 headers (RFC 791), on bytes alone.
#pragma once

#include <boost/asio/ip/address_v4.hpp>
#include <cstdint>
#include <optional>
#include <span>

namespace sixlink::net {

inline constexpr std::size_t kIpv4HeaderSize = 20;  // without options
inline constexpr std::uint8_t kProtocolIcmp = 1;

// The header of an inner packet, validated against the packet's size.
struct Ipv4Header {
  boost::asio::ip::address_v4 source;
  boost::asio::ip::address_v4 destination;
  std::uint8_t protocol = 0;
  std::uint8_t time_to_live = 0;
  std::size_t header_length = kIpv4HeaderSize;  // with options
  std::uint16_t fragment_offset = 0;            // in units of eight bytes
  bool may_fragment = true;                     // DF is not set

  // nullopt: not version 4, shorter than its header, a total length that is not the packet's, or a wrong
  // checksum.
  static std::optional<Ipv4Header> parse(std::span<const std::uint8_t> packet);
};

}  // namespace sixlink::net
