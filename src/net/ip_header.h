// SPDX-License-Identifier: BSD-3-Clause
// What a tunnel needs to know of an inner packet, of either IP version. Bytes alone, no allocation.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <span>

namespace sixlink::net {

struct IpHeader {
  boost::asio::ip::address source;
  boost::asio::ip::address destination;
  // What follows the fixed header (IPv4: the header with its options): IPv6 extension headers are not passed.
  std::uint8_t next_header = 0;
  std::size_t payload_offset = 0;

  // nullopt: what Ipv4Header::parse and Ipv6Header::parse refuse.
  static std::optional<IpHeader> parse(std::span<const std::uint8_t> packet);

  bool is_v6() const { return source.is_v6(); }
  // Of no use in a tunnel, as it means this link only: link-local addresses, multicast, broadcast, an
  // unspecified source.
  bool is_local_scope() const;
};

// The upper-layer protocol, behind IPv6 extension headers or IPv4 options. nullopt: no packet as above, a
// header that is cut off, or a later fragment, where it cannot be known. `offset` is at most the packet's
// size.
struct UpperLayer {
  std::uint8_t protocol = 0;
  std::size_t offset = 0;
};
std::optional<UpperLayer> find_upper_layer(std::span<const std::uint8_t> packet);

}  // namespace sixlink::net
