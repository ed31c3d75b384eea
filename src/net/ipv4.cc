// SPDX-License-Identifier: BSD-3-Clause
// Reading IPv4 headers.
#include "src/net/ipv4.h"

#include <cstring>

#include "src/net/big_endian.h"
#include "src/net/internet_checksum.h"

namespace sixlink::net {
namespace {

boost::asio::ip::address_v4 address_at(std::span<const std::uint8_t> bytes, std::size_t at) {
  boost::asio::ip::address_v4::bytes_type raw;
  std::memcpy(raw.data(), bytes.data() + at, raw.size());
  return boost::asio::ip::address_v4(raw);
}

}  // namespace

std::optional<Ipv4Header> Ipv4Header::parse(std::span<const std::uint8_t> packet) {
  if (packet.size() < kIpv4HeaderSize || packet[0] >> 4 != 4) return std::nullopt;
  Ipv4Header header;
  header.header_length = (packet[0] & 0xfU) * 4U;
  if (header.header_length < kIpv4HeaderSize || header.header_length > packet.size()) return std::nullopt;
  if (get16(packet, 2) != packet.size()) return std::nullopt;
  if (finish_checksum(add_words(packet.first(header.header_length))) != 0) return std::nullopt;
  const auto fragment = get16(packet, 6);
  header.may_fragment = (fragment & 0x4000) == 0;
  header.fragment_offset = fragment & 0x1fff;
  header.time_to_live = packet[8];
  header.protocol = packet[9];
  header.source = address_at(packet, 12);
  header.destination = address_at(packet, 16);
  return header;
}

}  // namespace sixlink::net
