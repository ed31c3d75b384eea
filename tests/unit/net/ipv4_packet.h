// SPDX-License-Identifier: BSD-3-Clause
// IPv4 and TCP packets for tests, made without the code that they test.
#pragma once

#include <boost/asio/ip/address_v4.hpp>

#include "tests/unit/net/ipv6_packet.h"

namespace sixlink::test {

inline boost::asio::ip::address_v4 v4(const char* text) {
  return boost::asio::ip::make_address_v4(text);
}

// RFC 1071, slowly: 0 when the checksum within is right.
inline std::uint16_t slow_checksum(Packet words) {
  if (words.size() % 2 != 0) words.push_back(0);
  unsigned total = 0;
  for (std::size_t i = 0; i < words.size(); i += 2) {
    total += words[i] * 256U + words[i + 1];
    if (total > 0xffff) total = total % 0x10000 + 1;
  }
  return static_cast<std::uint16_t>(0xffff - total);
}

inline void put_checksum(Packet& packet, std::size_t at, std::uint16_t checksum) {
  packet[at] = static_cast<std::uint8_t>(checksum >> 8);
  packet[at + 1] = static_cast<std::uint8_t>(checksum);
}

// Makes the header's checksum right again after a change.
inline Packet sealed(Packet packet) {
  const std::size_t header = (packet[0] & 15U) * 4U;
  packet[10] = packet[11] = 0;
  put_checksum(packet, 10,
               slow_checksum(Packet(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(header))));
  return packet;
}

// `options`: a multiple of four bytes. DF is set unless `fragment` says otherwise.
inline Packet ipv4_packet(const char* source, const char* destination, std::uint8_t protocol,
                          const Packet& payload, const Packet& options = {}, unsigned fragment = 0x4000) {
  const auto size = 20 + options.size() + payload.size();
  Packet packet{static_cast<std::uint8_t>(0x45 + options.size() / 4),
                0,
                static_cast<std::uint8_t>(size >> 8),
                static_cast<std::uint8_t>(size),
                0x12,
                0x34,
                static_cast<std::uint8_t>(fragment >> 8),
                static_cast<std::uint8_t>(fragment),
                64,
                protocol,
                0,
                0};
  for (const auto* address : {source, destination}) {
    const auto bytes = v4(address).to_bytes();
    packet.insert(packet.end(), bytes.begin(), bytes.end());
  }
  packet.insert(packet.end(), options.begin(), options.end());
  packet = sealed(packet);
  packet.insert(packet.end(), payload.begin(), payload.end());
  return packet;
}

// A UDP packet of `size` bytes in all, at least 28. Its checksum is not right: no one here looks at it.
inline Packet ipv4_packet(const char* source, const char* destination, std::size_t size = 28) {
  return ipv4_packet(source, destination, 17, Packet(size - 20, 0x5a));
}

}  // namespace sixlink::test
