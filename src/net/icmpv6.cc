// SPDX-License-Identifier: BSD-3-Clause
// Reading IPv6 headers and making ICMPv6 messages.
#include "src/net/icmpv6.h"

#include <algorithm>
#include <cstring>

#include "src/net/big_endian.h"
#include "src/net/internet_checksum.h"
#include "src/net/ip_header.h"

namespace sixlink::net {
namespace {

using Packet = std::span<const std::uint8_t>;

constexpr std::size_t kIcmpHeaderSize = 8;
constexpr std::uint8_t kEchoRequest = 128;
constexpr std::uint8_t kEchoReply = 129;
constexpr std::uint8_t kRedirect = 137;
constexpr std::size_t kLongestError = 1280;

AddressV6 address_at(Packet bytes, std::size_t at) {
  AddressV6::bytes_type raw;
  std::memcpy(raw.data(), bytes.data() + at, raw.size());
  return AddressV6(raw);
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
  const auto length = static_cast<std::uint32_t>(icmp.size());
  return finish_checksum(add_words(icmp, add_words(from, add_words(to, length + kNextHeaderIcmpv6))));
}

std::span<std::uint8_t> IcmpPacket::put(std::size_t header_size, const IcmpMessage& message) {
  const auto room = std::span(data_).subspan(header_size);
  room[0] = message.type;
  room[1] = message.code;
  put16(room, 4, message.high);
  put16(room, 6, message.low);
  const auto size = std::min(message.body.size(), room.size() - kIcmpHeaderSize);
  if (size > 0) std::memcpy(room.data() + kIcmpHeaderSize, message.body.data(), size);
  size_ = header_size + kIcmpHeaderSize + size;
  return room.first(kIcmpHeaderSize + size);
}

IcmpPacket::IcmpPacket(const AddressV6& source, const AddressV6& destination, const IcmpMessage& message) {
  const auto icmp = put(kIpv6HeaderSize, message);
  data_[0] = 0x60;
  put16(data_, 4, icmp.size());
  data_[6] = kNextHeaderIcmpv6;
  data_[7] = 64;
  std::memcpy(&data_[8], source.to_bytes().data(), 16);
  std::memcpy(&data_[24], destination.to_bytes().data(), 16);
  put16(icmp, 2, icmpv6_checksum(source, destination, icmp));
}

std::optional<IcmpPacket> make_error(IcmpError error, std::uint32_t parameter, const AddressV6& source,
                                     Packet packet) {
  const auto header = Ipv6Header::parse(packet);
  if (!header || header->source.is_unspecified() || header->source.is_multicast()) return std::nullopt;
  if (header->destination.is_multicast() && error.type != kPacketTooBig.type) return std::nullopt;
  const auto upper = find_upper_layer(packet);
  if (!upper) return std::nullopt;
  if (upper->protocol == kNextHeaderIcmpv6) {
    if (upper->offset >= packet.size()) return std::nullopt;
    const auto type = packet[upper->offset];
    if (type < 128 || type == kRedirect) return std::nullopt;
  }
  // RFC 4443 section 2.4 c: no more than the minimum MTU.
  const auto quoted =
      packet.first(std::min(packet.size(), kLongestError - kIpv6HeaderSize - kIcmpHeaderSize));
  return IcmpPacket(source, header->source,
                    {error.type, error.code, static_cast<std::uint16_t>(parameter >> 16),
                     static_cast<std::uint16_t>(parameter), quoted});
}

IcmpPacket make_echo_request(const AddressV6& source, const AddressV6& destination, std::uint16_t identifier,
                             std::uint16_t sequence, Packet payload) {
  return {source, destination, {kEchoRequest, 0, identifier, sequence, payload}};
}

std::optional<EchoReply> parse_echo_reply(const Ipv6Header& header, Packet packet) {
  if (header.next_header != kNextHeaderIcmpv6 || header.payload_length < kIcmpHeaderSize) return std::nullopt;
  const auto icmp = packet.subspan(kIpv6HeaderSize);
  if (icmp[0] != kEchoReply || icmp[1] != 0 || icmpv6_checksum(header.source, header.destination, icmp) != 0)
    return std::nullopt;
  return EchoReply{get16(icmp, 4), get16(icmp, 6), icmp.subspan(kIcmpHeaderSize), header.source,
                   header.destination};
}

}  // namespace sixlink::net
