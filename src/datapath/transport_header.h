// SPDX-License-Identifier: BSD-3-Clause
// Where the fields are that cutting and joining look at and write: RFC 791 section 3.1, RFC 8200 section 3,
// RFC 9293 section 3.1, RFC 768. The caller has checked the bounds.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sixlink::datapath {

inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;

inline constexpr std::size_t kIpv4Header = 20;  // without options
inline constexpr std::size_t kIpv4TotalLength = 2;
inline constexpr std::size_t kIpv4Identification = 4;
inline constexpr std::size_t kIpv4Fragment = 6;
inline constexpr std::uint16_t kIpv4DontFragment = 0x4000;
inline constexpr std::uint16_t kIpv4IsFragment = 0x3fff;  // more to come, or an offset
inline constexpr std::size_t kIpv4TimeToLive = 8;
inline constexpr std::size_t kIpv4Protocol = 9;
inline constexpr std::size_t kIpv4Checksum = 10;
inline constexpr std::size_t kIpv4Addresses = 12;

inline constexpr std::size_t kIpv6Header = 40;
inline constexpr std::size_t kIpv6PayloadLength = 4;
inline constexpr std::size_t kIpv6NextHeader = 6;
inline constexpr std::size_t kIpv6Addresses = 8;

inline constexpr std::size_t kTcpHeader = 20;  // without options
inline constexpr std::size_t kTcpSequence = 4;
inline constexpr std::size_t kTcpAcknowledgement = 8;
inline constexpr std::size_t kTcpDataOffset = 12;
inline constexpr std::size_t kTcpFlags = 13;
inline constexpr std::size_t kTcpWindow = 14;
inline constexpr std::size_t kTcpChecksum = 16;
inline constexpr std::size_t kTcpUrgent = 18;
inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpPsh = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;
inline constexpr std::uint8_t kTcpEce = 0x40;
inline constexpr std::uint8_t kTcpCwr = 0x80;

inline constexpr std::size_t kUdpHeader = 8;
inline constexpr std::size_t kUdpLength = 4;
inline constexpr std::size_t kUdpChecksum = 6;

inline std::uint16_t load16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}
inline std::uint32_t load32(const std::uint8_t* at) {
  return std::uint32_t{load16(at)} << 16 | load16(at + 2);
}
inline void store16(std::uint8_t* at, std::size_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}
inline void store32(std::uint8_t* at, std::uint32_t value) {
  store16(at, value >> 16);
  store16(at + 2, value & 0xffff);
}

}  // namespace sixlink::datapath
