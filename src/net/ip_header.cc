// SPDX-License-Identifier: BSD-3-Clause
// Inner packets of either IP version.
#include "src/net/ip_header.h"

#include "src/net/big_endian.h"
#include "src/net/icmpv6.h"
#include "src/net/ipv4.h"

namespace sixlink::net {
namespace {

using Packet = std::span<const std::uint8_t>;

// RFC 8200 section 4, RFC 6275.
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kDestination = 60;
constexpr std::uint8_t kMobility = 135;
// Ours: real packets have two or three.
constexpr int kMostExtensions = 16;

std::optional<UpperLayer> behind_extensions(std::uint8_t next, Packet packet) {
  std::size_t at = kIpv6HeaderSize;
  for (int headers = 0; headers < kMostExtensions; ++headers) {
    const bool is_sized = next == kHopByHop || next == kRouting || next == kDestination || next == kMobility;
    if (!is_sized && next != kFragment) return UpperLayer{next, at};
    if (at + 8 > packet.size()) return std::nullopt;
    if (next == kFragment && (get16(packet, at + 2) & 0xfff8) != 0) return std::nullopt;
    next = packet[at];
    at += is_sized ? (packet[at + 1] + 1U) * 8U : 8U;
    if (at > packet.size()) return std::nullopt;
  }
  return std::nullopt;
}

bool is_link_local(const boost::asio::ip::address_v4& address) {
  return address.to_uint() >> 16 == 0xa9fe;  // 169.254.0.0/16, RFC 3927
}

}  // namespace

std::optional<IpHeader> IpHeader::parse(Packet packet) {
  if (packet.empty()) return std::nullopt;
  if (packet[0] >> 4 == 4) {
    const auto header = Ipv4Header::parse(packet);
    if (!header) return std::nullopt;
    return IpHeader{header->source, header->destination, header->protocol, header->header_length};
  }
  const auto header = Ipv6Header::parse(packet);
  if (!header) return std::nullopt;
  return IpHeader{header->source, header->destination, header->next_header, kIpv6HeaderSize};
}

bool IpHeader::is_local_scope() const {
  if (source.is_unspecified() || destination.is_multicast()) return true;
  if (is_v6()) return source.to_v6().is_link_local() || destination.to_v6().is_link_local();
  return is_link_local(source.to_v4()) || is_link_local(destination.to_v4()) ||
         destination.to_v4() == boost::asio::ip::address_v4::broadcast();
}

std::optional<UpperLayer> find_upper_layer(Packet packet) {
  if (packet.empty()) return std::nullopt;
  if (packet[0] >> 4 == 4) {
    const auto header = Ipv4Header::parse(packet);
    if (!header || header->fragment_offset != 0) return std::nullopt;
    return UpperLayer{header->protocol, header->header_length};
  }
  const auto header = Ipv6Header::parse(packet);
  if (!header) return std::nullopt;
  return behind_extensions(header->next_header, packet);
}

}  // namespace sixlink::net
