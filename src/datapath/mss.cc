// SPDX-License-Identifier: BSD-3-Clause
// The maximum segment size of TCP connections through a tunnel.
#include "src/datapath/mss.h"

#include "src/net/big_endian.h"
#include "src/net/icmpv6.h"
#include "src/net/internet_checksum.h"
#include "src/net/ip_header.h"
#include "src/net/ipv4.h"

namespace sixlink::datapath {
namespace {

// RFC 9293 section 3.1.
constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::uint8_t kProtocolUdp = 17;
constexpr std::size_t kTcpHeaderSize = 20;
constexpr std::size_t kDataOffset = 12;
constexpr std::size_t kFlags = 13;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::size_t kChecksum = 16;
constexpr std::uint8_t kEndOfOptions = 0;
constexpr std::uint8_t kNoOperation = 1;
constexpr std::uint8_t kMaximumSegmentSize = 2;
constexpr std::size_t kMaximumSegmentSizeLength = 4;

std::uint16_t swapped(std::uint16_t word) {
  return static_cast<std::uint16_t>(word << 8 | word >> 8);
}

// Most packets are no SYN: this looks at no more than it must before it says so. What has extension headers
// is looked at further.
bool may_be_syn(std::span<const std::uint8_t> packet) {
  if (packet.size() < net::kIpv4HeaderSize + kTcpHeaderSize) return false;
  if (packet[0] >> 4 == 4) {
    const std::size_t flags = (packet[0] & 0xfU) * 4U + kFlags;
    return packet[9] == kProtocolTcp && flags < packet.size() && (packet[flags] & kSyn) != 0;
  }
  if (packet[0] >> 4 != 6 || packet.size() < net::kIpv6HeaderSize + kTcpHeaderSize) return false;
  const auto next = packet[6];
  if (next == kProtocolTcp) return (packet[net::kIpv6HeaderSize + kFlags] & kSyn) != 0;
  return next != kProtocolUdp && next != net::kNextHeaderIcmpv6;
}

void lower(std::span<std::uint8_t> tcp, std::size_t at, std::uint16_t limit) {
  auto before = net::get16(tcp, at);
  auto after = limit;
  net::put16(tcp, at, limit);
  // Behind a single NOP it lies across two words of the checksum: the same as one word with its bytes
  // swapped.
  if (at % 2 != 0) {
    before = swapped(before);
    after = swapped(after);
  }
  net::put16(tcp, kChecksum, net::update_checksum(net::get16(tcp, kChecksum), before, after));
}

}  // namespace

bool clamp_mss(std::span<std::uint8_t> packet, std::size_t mtu) {
  if (!may_be_syn(packet)) return false;
  const auto upper = net::find_upper_layer(packet);
  if (!upper || upper->protocol != kProtocolTcp || upper->offset + kTcpHeaderSize > packet.size())
    return false;
  auto tcp = packet.subspan(upper->offset);
  if ((tcp[kFlags] & kSyn) == 0) return false;
  const std::size_t header = (tcp[kDataOffset] >> 4) * 4U;
  if (header < kTcpHeaderSize || header > tcp.size()) return false;
  const std::size_t overhead =
      (packet[0] >> 4 == 4 ? net::kIpv4HeaderSize : net::kIpv6HeaderSize) + kTcpHeaderSize;
  if (mtu <= overhead || mtu - overhead > 0xffff) return false;
  const auto limit = static_cast<std::uint16_t>(mtu - overhead);

  bool is_changed = false;
  std::size_t at = kTcpHeaderSize;
  while (at < header && tcp[at] != kEndOfOptions) {
    if (tcp[at] == kNoOperation) {
      ++at;
      continue;
    }
    if (at + 1 >= header) break;
    const std::size_t length = tcp[at + 1];
    if (length < 2 || at + length > header) break;
    // Given twice, systems differ in which one counts: none may stay too large.
    if (tcp[at] == kMaximumSegmentSize && length == kMaximumSegmentSizeLength &&
        net::get16(tcp, at + 2) > limit) {
      lower(tcp, at + 2, limit);
      is_changed = true;
    }
    at += length;
  }
  return is_changed;
}

}  // namespace sixlink::datapath
