// SPDX-License-Identifier: BSD-3-Clause
// The header of the packet that was looked at last: what was decided about it holds for those like it, which
// most of a batch are.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include "src/net/big_endian.h"
#include "src/net/icmpv6.h"

namespace sixlink::datapath {

// Of IPv6 alone: an IPv4 header has a checksum that is to be looked at in each.
class LaneMemory {
 public:
  void forget() { is_known_ = false; }

  void remember(std::span<const std::uint8_t> packet) {
    is_known_ = is_v6(packet);
    if (!is_known_) return;
    next_header_ = packet[kNextHeader];
    std::memcpy(addresses_.data(), packet.data() + kAddresses, addresses_.size());
  }

  // A whole packet with the same addresses and next header.
  bool is_like(std::span<const std::uint8_t> packet) const {
    return is_known_ && is_v6(packet) && packet[kNextHeader] == next_header_ &&
           net::get16(packet, kPayloadLength) + net::kIpv6HeaderSize == packet.size() &&
           std::memcmp(addresses_.data(), packet.data() + kAddresses, addresses_.size()) == 0;
  }

 private:
  // RFC 8200 section 3.
  static constexpr std::size_t kPayloadLength = 4;
  static constexpr std::size_t kNextHeader = 6;
  static constexpr std::size_t kAddresses = 8;

  static bool is_v6(std::span<const std::uint8_t> packet) {
    return packet.size() >= net::kIpv6HeaderSize && packet[0] >> 4 == 6;
  }

  bool is_known_ = false;
  std::uint8_t next_header_ = 0;
  std::array<std::uint8_t, 32> addresses_{};
};

}  // namespace sixlink::datapath
