// SPDX-License-Identifier: BSD-3-Clause
// Cuts up joined TCP segments (RFC 9293) and completes checksums.
#include "src/datapath/joined_packets.h"

#include <algorithm>
#include <cstring>

#include "src/net/big_endian.h"
#include "src/net/icmpv6.h"
#include "src/net/internet_checksum.h"
#include "src/net/ipv4.h"

namespace sixlink::datapath {
namespace {

constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::uint8_t kProtocolUdp = 17;

// RFC 791 section 3.1, RFC 8200 section 3.
constexpr std::size_t kIpv4TotalLength = 2;
constexpr std::size_t kIpv4Identification = 4;
constexpr std::size_t kIpv4Fragment = 6;
constexpr std::uint16_t kIpv4DontFragment = 0x4000;
constexpr std::uint16_t kIpv4IsFragment = 0x3fff;  // more to come, or an offset
constexpr std::size_t kIpv4Protocol = 9;
constexpr std::size_t kIpv4Checksum = 10;
constexpr std::size_t kIpv4Addresses = 12;
constexpr std::size_t kIpv6PayloadLength = 4;
constexpr std::size_t kIpv6NextHeader = 6;
constexpr std::size_t kIpv6Addresses = 8;

// RFC 9293 section 3.1, RFC 768.
constexpr std::size_t kTcpHeaderSize = 20;
constexpr std::size_t kTcpSequence = 4;
constexpr std::size_t kTcpDataOffset = 12;
constexpr std::size_t kTcpFlags = 13;
constexpr std::size_t kTcpChecksum = 16;
constexpr std::uint8_t kTcpFin = 0x01;
constexpr std::uint8_t kTcpPsh = 0x08;
constexpr std::uint8_t kTcpCwr = 0x80;
constexpr std::uint8_t kTcpSynRstUrg = 0x02 | 0x04 | 0x20;
constexpr std::size_t kUdpHeaderSize = 8;
constexpr std::size_t kUdpChecksum = 6;

// How long the segments were that were joined is not told. A piece must not be longer than they were, or a
// narrower path further on would refuse what its sender never sent; every path carries this (RFC 8200
// section 5).
constexpr std::size_t kPieceSize = 1280;

std::uint32_t pseudo_header(std::span<const std::uint8_t> packet, std::uint8_t protocol, std::size_t length) {
  const auto addresses =
      packet[0] >> 4 == 4 ? packet.subspan(kIpv4Addresses, 8) : packet.subspan(kIpv6Addresses, 32);
  return net::add_words(addresses, static_cast<std::uint32_t>(length) + protocol);
}

// Of TCP or UDP with the checksum field at `at`, which is overwritten.
std::uint16_t checksum(std::span<std::uint8_t> packet, std::size_t transport, std::uint8_t protocol,
                       std::size_t at) {
  net::put16(packet, at, 0);
  const auto payload = packet.subspan(transport);
  return net::finish_checksum(net::add_words(payload, pseudo_header(packet, protocol, payload.size())));
}

// The two zeros of a sum in ones' complement are one.
bool is_same_sum(std::uint16_t a, std::uint16_t b) {
  return a % 0xffff == b % 0xffff;
}

}  // namespace

JoinedPackets::JoinedPackets(std::span<std::uint8_t> packet, std::size_t mtu) : packet_(packet), mtu_(mtu) {
  examine();
}

void JoinedPackets::examine() {
  if (packet_.empty()) return;
  std::uint8_t protocol = 0;
  if (packet_[0] >> 4 == 4) {
    if (packet_.size() < net::kIpv4HeaderSize || net::get16(packet_, kIpv4TotalLength) != packet_.size())
      return;
    transport_ = (packet_[0] & 0xfU) * 4U;
    protocol = packet_[kIpv4Protocol];
    if (transport_ < net::kIpv4HeaderSize || (net::get16(packet_, kIpv4Fragment) & kIpv4IsFragment) != 0)
      return;
  } else if (packet_[0] >> 4 == 6) {
    // Behind extension headers nothing is joined.
    if (packet_.size() < net::kIpv6HeaderSize ||
        net::get16(packet_, kIpv6PayloadLength) + net::kIpv6HeaderSize != packet_.size())
      return;
    transport_ = net::kIpv6HeaderSize;
    protocol = packet_[kIpv6NextHeader];
  } else {
    return;
  }
  const bool is_tcp = protocol == kProtocolTcp;
  if (!is_tcp && protocol != kProtocolUdp) return;
  if (packet_.size() < transport_ + (is_tcp ? kTcpHeaderSize : kUdpHeaderSize)) return;

  if (is_tcp && packet_.size() > mtu_) {
    headers_ = transport_ + (packet_[transport_ + kTcpDataOffset] >> 4) * 4U;
    const auto limit = std::min(mtu_, kPieceSize);
    const bool is_cuttable = headers_ >= transport_ + kTcpHeaderSize && headers_ < packet_.size() &&
                             headers_ < limit && (packet_[transport_ + kTcpFlags] & kTcpSynRstUrg) == 0;
    if (is_cuttable) {
      is_joined_ = true;
      data_ = limit - headers_;
      std::memcpy(header_.data(), packet_.data(), headers_);
      return;
    }
  }
  const std::size_t at = transport_ + (is_tcp ? kTcpChecksum : kUdpChecksum);
  const auto found = net::get16(packet_, at);
  const auto unfinished = static_cast<std::uint16_t>(
      ~net::finish_checksum(pseudo_header(packet_, protocol, packet_.size() - transport_)));
  // A UDP checksum of 0 is none (RFC 768).
  if (!is_same_sum(found, unfinished) || (!is_tcp && found == 0)) return;
  auto complete = checksum(packet_, transport_, protocol, at);
  if (!is_tcp && complete == 0) complete = 0xffff;
  net::put16(packet_, at, complete);
}

std::optional<FrameHeader> JoinedPackets::frame() {
  if (!is_joined_) return std::nullopt;
  FrameHeader header;
  header.segmentation = Segmentation::kTcp;
  header.needs_checksum = true;
  header.has_cwr = (packet_[transport_ + kTcpFlags] & kTcpCwr) != 0;
  header.segment_size = static_cast<std::uint16_t>(data_);
  header.header_length = static_cast<std::uint16_t>(headers_);
  header.checksum_start = static_cast<std::uint16_t>(transport_);
  header.checksum_offset = kTcpChecksum;
  const auto unfinished = static_cast<std::uint16_t>(
      ~net::finish_checksum(pseudo_header(packet_, kProtocolTcp, packet_.size() - transport_)));
  net::put16(packet_, transport_ + kTcpChecksum, unfinished);
  return header;
}

std::optional<std::span<std::uint8_t>> JoinedPackets::next() {
  if (has_ended_) return std::nullopt;
  if (is_joined_) return cut();
  has_ended_ = true;
  return packet_;
}

// Headers go right before their data, where data stands that came out already.
std::span<std::uint8_t> JoinedPackets::cut() {
  const std::size_t total = packet_.size() - headers_;
  const std::size_t size = std::min(data_, total - done_);
  const bool is_first = done_ == 0;
  const bool is_last = done_ + size == total;
  const auto piece = packet_.subspan(done_, headers_ + size);
  std::memcpy(piece.data(), header_.data(), headers_);

  if (piece[0] >> 4 == 4) {
    net::put16(piece, kIpv4TotalLength, piece.size());
    if ((net::get16(piece, kIpv4Fragment) & kIpv4DontFragment) == 0)
      net::put16(piece, kIpv4Identification, net::get16(piece, kIpv4Identification) + done_ / data_);
    net::put16(piece, kIpv4Checksum, 0);
    net::put16(piece, kIpv4Checksum, net::finish_checksum(net::add_words(piece.first(transport_))));
  } else {
    net::put16(piece, kIpv6PayloadLength, piece.size() - net::kIpv6HeaderSize);
  }
  const auto tcp = piece.subspan(transport_);
  const std::size_t sequence =
      (std::size_t{net::get16(tcp, kTcpSequence)} << 16 | net::get16(tcp, kTcpSequence + 2)) + done_;
  net::put16(tcp, kTcpSequence, sequence >> 16);
  net::put16(tcp, kTcpSequence + 2, sequence);
  // What is said once: the congestion window's reduction (RFC 3168) with the first, the end with the last.
  if (!is_first) tcp[kTcpFlags] &= static_cast<std::uint8_t>(~kTcpCwr);
  if (!is_last) tcp[kTcpFlags] &= static_cast<std::uint8_t>(~(kTcpFin | kTcpPsh));

  done_ += size;
  has_ended_ = is_last;
  net::put16(piece, transport_ + kTcpChecksum,
             checksum(piece, transport_, kProtocolTcp, transport_ + kTcpChecksum));
  return piece;
}

}  // namespace sixlink::datapath
