// SPDX-License-Identifier: BSD-3-Clause
// Packets for tests, made without the code that they test.
#pragma once

#include <boost/asio/ip/address_v6.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sixlink::test {

using Packet = std::vector<std::uint8_t>;

inline boost::asio::ip::address_v6 v6(const char* text) {
  return boost::asio::ip::make_address_v6(text);
}

inline Packet ipv6_packet(const boost::asio::ip::address_v6& source,
                          const boost::asio::ip::address_v6& destination, std::uint8_t next_header,
                          const Packet& payload) {
  Packet packet{0x60,
                0,
                0,
                0,
                static_cast<std::uint8_t>(payload.size() >> 8),
                static_cast<std::uint8_t>(payload.size()),
                next_header,
                64};
  for (const auto& address : {source, destination}) {
    const auto bytes = address.to_bytes();
    packet.insert(packet.end(), bytes.begin(), bytes.end());
  }
  packet.insert(packet.end(), payload.begin(), payload.end());
  return packet;
}

// A UDP packet of `size` bytes in all, at least 48. Its checksum is not right: no one here looks at it.
inline Packet ipv6_packet(const char* source, const char* destination, std::size_t size = 48) {
  return ipv6_packet(v6(source), v6(destination), 17, Packet(size - 40, 0x5a));
}

inline Packet from_hex(std::string_view hex) {
  Packet bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// RFC 4443 section 2.3, slowly: every 16-bit word of pseudo-header and message, added up with the carry put
// back each time. 0 when the checksum within is right.
inline std::uint16_t slow_icmpv6_checksum(const Packet& packet) {
  Packet words(packet.begin() + 8, packet.begin() + 40);
  const auto size = packet.size() - 40;
  for (int shift = 24; shift >= 0; shift -= 8) words.push_back(static_cast<std::uint8_t>(size >> shift));
  words.insert(words.end(), {0, 0, 0, 58});
  words.insert(words.end(), packet.begin() + 40, packet.end());
  if (words.size() % 2 != 0) words.push_back(0);
  unsigned total = 0;
  for (std::size_t i = 0; i < words.size(); i += 2) {
    total += words[i] * 256U + words[i + 1];
    if (total > 0xffff) total = total % 0x10000 + 1;
  }
  return static_cast<std::uint16_t>(0xffff - total);
}

// The echo reply that a host sends for an echo request.
inline Packet answer_echo(Packet packet) {
  for (std::size_t i = 0; i < 16; ++i) std::swap(packet[8 + i], packet[24 + i]);
  packet[40] = 129;
  packet[42] = packet[43] = 0;
  const auto checksum = slow_icmpv6_checksum(packet);
  packet[42] = static_cast<std::uint8_t>(checksum >> 8);
  packet[43] = static_cast<std::uint8_t>(checksum);
  return packet;
}

}  // namespace sixlink::test
