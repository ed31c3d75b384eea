// SPDX-License-Identifier: BSD-3-Clause
// ICMP, and ICMPv6 beside it.
#include "src/net/icmp.h"

#include <algorithm>
#include <cstring>

#include "src/net/big_endian.h"
#include "src/net/internet_checksum.h"
#include "src/net/ip_header.h"
#include "src/net/ipv4.h"

namespace sixlink::net {
namespace {

using Packet = std::span<const std::uint8_t>;
using boost::asio::ip::address_v4;

constexpr std::size_t kIcmpHeaderSize = 8;
constexpr std::uint8_t kIcmpEchoReply = 0;
constexpr std::uint8_t kIcmpEchoRequest = 8;
constexpr std::uint8_t kUnreachableType = 3;
// An error is at most so long (RFC 1812 section 4.3.2.3).
constexpr std::size_t kLongestError = 576;

// RFC 792 and RFC 1812 section 5.2.7.1.
IcmpError icmp_error(Undeliverable reason) {
  switch (reason) {
    case Undeliverable::kUnrouted:
      return {kUnreachableType, 0};
    case Undeliverable::kUnreachable:
      return {kUnreachableType, 1};
    case Undeliverable::kForeignSource:
      return {kUnreachableType, 13};
    case Undeliverable::kTooBig:
      return {kUnreachableType, 4};
    case Undeliverable::kExpired:
      return {11, 0};
  }
  return {kUnreachableType, 0};
}

IcmpError icmpv6_error(Undeliverable reason) {
  switch (reason) {
    case Undeliverable::kUnrouted:
      return kNoRoute;
    case Undeliverable::kUnreachable:
      return kAddressUnreachable;
    case Undeliverable::kForeignSource:
      return kSourcePolicy;
    case Undeliverable::kTooBig:
      return kPacketTooBig;
    case Undeliverable::kExpired:
      return kTimeExceeded;
  }
  return kNoRoute;
}

// Unreachable, source quench, redirect, time exceeded, parameter problem.
bool is_icmp_error(std::uint8_t type) {
  return type == kUnreachableType || type == 4 || type == 5 || type == 11 || type == 12;
}

// One machine, not a group, a network or nobody.
bool is_single_host(const address_v4& address) {
  return !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() &&
         address.to_uint() >> 28 != 0xf;  // 240.0.0.0/4 and the broadcast address
}

std::optional<IcmpPacket> make_icmp_error(Undeliverable reason, std::uint32_t mtu, const address_v4& source,
                                          Packet packet) {
  const auto header = Ipv4Header::parse(packet);
  if (!header || source.is_unspecified() || header->fragment_offset != 0) return std::nullopt;
  if (!is_single_host(header->source) || header->destination.is_multicast() ||
      header->destination == address_v4::broadcast())
    return std::nullopt;
  if (header->protocol == kProtocolIcmp &&
      (packet.size() <= header->header_length || is_icmp_error(packet[header->header_length])))
    return std::nullopt;
  const bool is_too_big = reason == Undeliverable::kTooBig;
  if (is_too_big && header->may_fragment) return std::nullopt;
  const auto quoted =
      packet.first(std::min(packet.size(), kLongestError - kIpv4HeaderSize - kIcmpHeaderSize));
  const auto error = icmp_error(reason);
  // RFC 1191 section 4: the next hop's MTU.
  const auto low =
      is_too_big ? static_cast<std::uint16_t>(std::min<std::uint32_t>(mtu, 0xffff)) : std::uint16_t{0};
  return IcmpPacket(source, header->source, {error.type, error.code, 0, low, quoted});
}

std::optional<EchoReply> parse_icmp_echo_reply(Packet packet) {
  const auto header = Ipv4Header::parse(packet);
  // The first of several fragments would fail at its checksum.
  if (!header || header->protocol != kProtocolIcmp || header->fragment_offset != 0) return std::nullopt;
  const auto icmp = packet.subspan(header->header_length);
  if (icmp.size() < kIcmpHeaderSize || icmp[0] != kIcmpEchoReply || icmp[1] != 0) return std::nullopt;
  if (finish_checksum(add_words(icmp)) != 0) return std::nullopt;
  return EchoReply{get16(icmp, 4), get16(icmp, 6), icmp.subspan(kIcmpHeaderSize), header->source,
                   header->destination};
}

}  // namespace

IcmpPacket::IcmpPacket(const address_v4& source, const address_v4& destination, const IcmpMessage& message) {
  const auto icmp = put(kIpv4HeaderSize, message);
  put16(icmp, 2, finish_checksum(add_words(icmp)));
  const auto header = std::span(data_).first(kIpv4HeaderSize);
  header[0] = 0x45;
  put16(header, 2, size_);
  // Never fragmented, so that it needs no identification (RFC 6864).
  put16(header, 6, 0x4000);
  header[8] = 64;
  header[9] = kProtocolIcmp;
  std::memcpy(&header[12], source.to_bytes().data(), 4);
  std::memcpy(&header[16], destination.to_bytes().data(), 4);
  put16(header, 10, finish_checksum(add_words(header)));
}

IcmpPacket make_echo_request(const boost::asio::ip::address& source,
                             const boost::asio::ip::address& destination, std::uint16_t identifier,
                             std::uint16_t sequence, Packet payload) {
  if (source.is_v6())
    return make_echo_request(source.to_v6(), destination.to_v6(), identifier, sequence, payload);
  return {source.to_v4(), destination.to_v4(), {kIcmpEchoRequest, 0, identifier, sequence, payload}};
}

std::optional<EchoReply> parse_echo_reply(Packet packet) {
  if (const auto header = Ipv6Header::parse(packet)) return parse_echo_reply(*header, packet);
  return parse_icmp_echo_reply(packet);
}

std::optional<IcmpPacket> make_error(Undeliverable reason, std::uint32_t mtu, const ErrorSource& source,
                                     Packet packet) {
  if (packet.empty()) return std::nullopt;
  if (packet[0] >> 4 == 4) return make_icmp_error(reason, mtu, source.v4, packet);
  const bool is_too_big = reason == Undeliverable::kTooBig;
  return make_error(icmpv6_error(reason), is_too_big ? mtu : 0, source.v6, packet);
}

}  // namespace sixlink::net
