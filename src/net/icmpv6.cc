// SPDX-License-Identifier: BSD-3-Clause
// Reading IPv6 headers and making ICMPv6 messages.
#include "src/net/icmpv6.h"

#include <algorithm>
#include <cstring>

namespace sixlink::net {
namespace {

using Packet = std::span<const std::uint8_t>;

constexpr std::uint8_t kEchoRequest = 128;
constexpr std::uint8_t kEchoReply = 129;
constexpr std::uint8_t kRedirect = 137;

std::uint16_t get16(Packet bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

void put16(std::uint8_t* at, std::size_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

AddressV6 address_at(Packet bytes, std::size_t at) {
  AddressV6::bytes_type raw;
  std::memcpy(raw.data(), bytes.data() + at, raw.size());
  return AddressV6(raw);
}

std::uint32_t sum(Packet bytes, std::uint32_t total) {
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) total += get16(bytes, i);
  if (bytes.size() % 2 != 0) total += static_cast<std::uint32_t>(bytes.back() << 8);
  return total;
}

// The upper-layer protocol of a packet behind its extension headers; nullopt when a header is cut off or this
// is a later fragment, where it cannot be known.
struct UpperLayer {
  std::uint8_t protocol;
  std::size_t offset;
};
std::optional<UpperLayer> upper_layer(const Ipv6Header& header, Packet packet) {
  std::uint8_t next = header.next_header;
  std::size_t at = kIpv6HeaderSize;
  for (int headers = 0; headers < 16; ++headers) {
    const bool is_options = next == 0 || next == 43 || next == 60 || next == 135;
    if (!is_options && next != 44) return UpperLayer{next, at};
    if (at + 8 > packet.size()) return std::nullopt;
    const bool is_later_fragment = next == 44 && (get16(packet, at + 2) & 0xfff8) != 0;
    if (is_later_fragment) return std::nullopt;
    next = packet[at];
    at += is_options ? (packet[at + 1] + 1U) * 8U : 8U;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Ipv6Header> Ipv6Header::parse(Packet packet) {
  if (packet.size() < kIpv6HeaderSize || packet[0] >> 4 != 6) return std::nullopt;
  Ipv6Header header;
  header.payload_length = get16(packet, 4);
  if (header.payload_length != packet.size() - kIpv6HeaderSize) return std::nullopt;
  header.next_header = packet[6];
  header.hop_limit = packet[7];
  header.source = address_at(packet, 8);
  header.destination = address_at(packet, 24);
  return header;
}

std::uint16_t icmpv6_checksum(const AddressV6& source, const AddressV6& destination, Packet icmp) {
  const auto from = source.to_bytes();
  const auto to = destination.to_bytes();
  auto total = sum(from, sum(to, static_cast<std::uint32_t>(icmp.size()) + kNextHeaderIcmpv6));
  total = sum(icmp, total);
  while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
  return static_cast<std::uint16_t>(~total);
}

void IcmpPacket::finish(const AddressV6& source, const AddressV6& destination, std::size_t icmp_size) {
  data_[0] = 0x60;
  put16(&data_[4], icmp_size);
  data_[6] = kNextHeaderIcmpv6;
  data_[7] = 64;
  std::memcpy(&data_[8], source.to_bytes().data(), 16);
  std::memcpy(&data_[24], destination.to_bytes().data(), 16);
  size_ = kIpv6HeaderSize + icmp_size;
  put16(&data_[kIpv6HeaderSize + 2], icmpv6_checksum(source, destination, bytes().subspan(kIpv6HeaderSize)));
}

std::optional<IcmpPacket> make_error(IcmpError error, std::uint32_t parameter, const AddressV6& source,
                                     Packet packet) {
  const auto header = Ipv6Header::parse(packet);
  if (!header || header->source.is_unspecified() || header->source.is_multicast()) return std::nullopt;
  if (header->destination.is_multicast() && error.type != kPacketTooBig.type) return std::nullopt;
  const auto upper = upper_layer(*header, packet);
  if (!upper) return std::nullopt;
  if (upper->protocol == kNextHeaderIcmpv6) {
    if (upper->offset >= packet.size()) return std::nullopt;
    const auto type = packet[upper->offset];
    if (type < 128 || type == kRedirect) return std::nullopt;
  }
  IcmpPacket result;
  auto* icmp = &result.data_[kIpv6HeaderSize];
  icmp[0] = error.type;
  icmp[1] = error.code;
  put16(icmp + 4, parameter >> 16);
  put16(icmp + 6, parameter & 0xffff);
  const auto quoted = std::min(packet.size(), result.data_.size() - kIpv6HeaderSize - 8);
  std::memcpy(icmp + 8, packet.data(), quoted);
  result.finish(source, header->source, 8 + quoted);
  return result;
}

IcmpPacket make_echo_request(const AddressV6& source, const AddressV6& destination, std::uint16_t identifier,
                             std::uint16_t sequence, Packet payload) {
  IcmpPacket result;
  auto* icmp = &result.data_[kIpv6HeaderSize];
  icmp[0] = kEchoRequest;
  put16(icmp + 4, identifier);
  put16(icmp + 6, sequence);
  const auto size = std::min(payload.size(), result.data_.size() - kIpv6HeaderSize - 8);
  if (size > 0) std::memcpy(icmp + 8, payload.data(), size);
  result.finish(source, destination, 8 + size);
  return result;
}

std::optional<EchoReply> parse_echo_reply(const Ipv6Header& header, Packet packet) {
  if (header.next_header != kNextHeaderIcmpv6 || header.payload_length < 8) return std::nullopt;
  const auto icmp = packet.subspan(kIpv6HeaderSize);
  if (icmp[0] != kEchoReply || icmp[1] != 0 || icmpv6_checksum(header.source, header.destination, icmp) != 0)
    return std::nullopt;
  return EchoReply{get16(icmp, 4), get16(icmp, 6), icmp.subspan(8)};
}

}  // namespace sixlink::net
