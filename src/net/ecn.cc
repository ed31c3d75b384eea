// SPDX-License-Identifier: BSD-3-Clause
// Explicit congestion notification through a tunnel.
#include "src/net/ecn.h"

#include "src/net/big_endian.h"
#include "src/net/internet_checksum.h"

namespace sixlink::net {
namespace {

constexpr std::size_t kIpv4Checksum = 10;

bool is_v4(std::span<const std::uint8_t> packet) {
  return packet.size() >= 20 && packet[0] >> 4 == 4;
}
bool is_v6(std::span<const std::uint8_t> packet) {
  return packet.size() >= 40 && packet[0] >> 4 == 6;
}

void set_ecn(std::span<std::uint8_t> packet, std::uint8_t ecn) {
  if (is_v6(packet)) {
    packet[1] = static_cast<std::uint8_t>((packet[1] & 0xcfU) | (unsigned{ecn} << 4));
    return;
  }
  const auto before = get16(packet, 0);
  packet[1] = static_cast<std::uint8_t>((packet[1] & ~unsigned{kEcnMask}) | ecn);
  put16(packet, kIpv4Checksum, update_checksum(get16(packet, kIpv4Checksum), before, get16(packet, 0)));
}

}  // namespace

std::uint8_t ecn_of(std::span<const std::uint8_t> packet) {
  if (is_v6(packet)) return static_cast<std::uint8_t>((packet[1] >> 4) & kEcnMask);
  return is_v4(packet) ? static_cast<std::uint8_t>(packet[1] & kEcnMask) : kNotEct;
}

bool decapsulate_ecn(std::span<std::uint8_t> packet, std::uint8_t outer_traffic_class) {
  const auto outer = static_cast<std::uint8_t>(outer_traffic_class & kEcnMask);
  // Most networks mark nothing.
  if (outer == kNotEct || (!is_v6(packet) && !is_v4(packet))) return true;
  const auto inner = ecn_of(packet);
  if (inner == kNotEct) return outer != kCongestionExperienced;
  if (outer == kCongestionExperienced || (outer == kEct1 && inner == kEct0)) {
    if (inner != outer) set_ecn(packet, outer);
  }
  return true;
}

}  // namespace sixlink::net
