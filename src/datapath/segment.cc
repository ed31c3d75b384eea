// SPDX-License-Identifier: BSD-3-Clause
// Cuts frames into packets.
#include "src/datapath/segment.h"

#include <algorithm>
#include <cstring>

#include "src/datapath/transport_header.h"
#include "src/net/ip_header.h"

namespace sixlink::datapath {
namespace {

// What next_header says in front of IPv6 fragments (RFC 8200 section 4.5): never part of a frame to be cut.
constexpr std::uint8_t kIpv6Fragment = 44;

bool has_fragment_header(std::span<const std::uint8_t> frame, std::size_t transport) {
  std::uint8_t next = frame[kIpv6NextHeader];
  for (std::size_t at = kIpv6Header; at < transport; at += (frame[at + 1] + 1U) * 8U) {
    if (next == kIpv6Fragment) return true;
    next = frame[at];
  }
  return false;
}

}  // namespace

bool Segmenter::start(const FrameHeader& header, std::span<std::uint8_t> frame) {
  frame_ = frame;
  index_ = 0;
  count_ = 0;
  header_size_ = 0;
  segment_size_ = frame.size();
  segmentation_ = header.segmentation;
  if (segmentation_ == Segmentation::kNone) {
    if (frame.empty() || (header.needs_checksum && !finish_checksum(header))) return false;
    count_ = 1;
    return true;
  }
  return examine(header);
}

bool Segmenter::finish_checksum(const FrameHeader& header) {
  const std::size_t start = header.checksum_start;
  const std::size_t at = start + header.checksum_offset;
  // A checksum is a word of what it sums up.
  if (header.checksum_offset % 2 != 0 || at + 2 > frame_.size()) return false;
  const auto checksum =
      static_cast<std::uint16_t>(~fold_sum(sum_bytes(frame_.data() + start, frame_.size() - start)));
  // A UDP checksum of 0 is none (RFC 768); other protocols take either zero.
  store_sum(frame_.data() + at, checksum != 0 ? checksum : std::uint16_t{0xffff});
  return true;
}

bool Segmenter::examine(const FrameHeader& header) {
  const std::uint8_t* const bytes = frame_.data();
  const std::size_t size = frame_.size();
  const bool is_tcp = segmentation_ == Segmentation::kTcp;
  const std::uint8_t protocol = is_tcp ? kProtocolTcp : kProtocolUdp;
  if (size < kIpv4Header || header.segment_size == 0) return false;

  is_v4_ = bytes[0] >> 4 == 4;
  if (is_v4_) {
    transport_ = (bytes[0] & 0xfU) * 4U;
    if (transport_ < kIpv4Header || transport_ > size || load16(bytes + kIpv4TotalLength) != size ||
        bytes[kIpv4Protocol] != protocol || (load16(bytes + kIpv4Fragment) & kIpv4IsFragment) != 0) {
      return false;
    }
  } else {
    if (bytes[0] >> 4 != 6 || size < kIpv6Header || load16(bytes + kIpv6PayloadLength) + kIpv6Header != size)
      return false;
    transport_ = kIpv6Header;
    if (bytes[kIpv6NextHeader] != protocol) {
      const auto upper = net::find_upper_layer(frame_);
      if (!upper || upper->protocol != protocol || has_fragment_header(frame_, upper->offset)) return false;
      transport_ = upper->offset;
      // Behind a routing header the pseudo-header has another destination: only who made the frame knows.
      if (!header.needs_checksum) return false;
    }
  }
  if (header.needs_checksum && header.checksum_start != transport_) return false;

  const std::uint8_t* const transport = bytes + transport_;
  const std::size_t least = is_tcp ? kTcpHeader : kUdpHeader;
  if (transport_ + least > size) return false;
  const std::size_t transport_size = is_tcp ? (transport[kTcpDataOffset] >> 4) * 4U : kUdpHeader;
  header_size_ = transport_ + transport_size;
  if (transport_size < least || header_size_ > size || header_size_ > kMaximumHeader) return false;

  const std::size_t data = size - header_size_;
  segment_size_ = std::min<std::size_t>(header.segment_size, data);
  count_ = data == 0 ? 1 : (data + segment_size_ - 1) / segment_size_;
  has_fixed_id_ = header.has_fixed_id;

  if (is_v4_) {
    identification_ = load16(bytes + kIpv4Identification);
    // Without length, identification and checksum.
    ip_sum_ = sum_bytes(bytes, 2);
    ip_sum_ = sum_bytes(bytes + kIpv4Fragment, kIpv4Checksum - kIpv4Fragment, ip_sum_);
    ip_sum_ = sum_bytes(bytes + kIpv4Addresses, transport_ - kIpv4Addresses, ip_sum_);
  }
  transport_sum_ = pseudo_header_sum(bytes, protocol, 0);
  if (!is_v4_ && transport_ != kIpv6Header) {
    std::uint16_t unfinished = 0;
    std::memcpy(&unfinished, transport + (is_tcp ? kTcpChecksum : kUdpChecksum), sizeof unfinished);
    transport_sum_ =
        fold_sum(subtract_sums(unfinished, word_sum(static_cast<std::uint16_t>(size - transport_))));
  }
  if (is_tcp) {
    sequence_ = load32(transport + kTcpSequence);
    flags_ = transport[kTcpFlags];
    // Without sequence number, flags and checksum.
    transport_sum_ = sum_bytes(transport, kTcpSequence, transport_sum_);
    transport_sum_ =
        sum_bytes(transport + kTcpAcknowledgement, kTcpDataOffset - kTcpAcknowledgement, transport_sum_);
    transport_sum_ = sum_bytes(transport + kTcpWindow, 2, transport_sum_);
    transport_sum_ = sum_bytes(transport + kTcpUrgent, transport_size - kTcpUrgent, transport_sum_);
  } else {
    transport_sum_ = sum_bytes(transport, kUdpLength, transport_sum_);
  }
  return true;
}

void Segmenter::write_header(std::uint8_t* to, std::size_t size, PartialSum data_sum) const {
  const std::size_t total = header_size_ + size;
  if (is_v4_) {
    const auto length = static_cast<std::uint16_t>(total);
    const auto identification = static_cast<std::uint16_t>(identification_ + (has_fixed_id_ ? 0 : index_));
    store16(to + kIpv4TotalLength, length);
    store16(to + kIpv4Identification, identification);
    store_checksum(to + kIpv4Checksum, ip_sum_ + word_sum(length) + word_sum(identification));
  } else {
    store16(to + kIpv6PayloadLength, total - kIpv6Header);
  }

  std::uint8_t* const transport = to + transport_;
  const auto length = static_cast<std::uint16_t>(total - transport_);
  // transport_sum_ is one of headers, small: single words added to it do not run over.
  PartialSum sum = add_sums(data_sum, transport_sum_ + word_sum(length));
  if (segmentation_ == Segmentation::kUdp) {
    store16(transport + kUdpLength, length);
    sum = add_sums(sum, word_sum(length));
    const auto checksum = static_cast<std::uint16_t>(~fold_sum(sum));
    store_sum(transport + kUdpChecksum, checksum != 0 ? checksum : std::uint16_t{0xffff});
    return;
  }
  const auto sequence = static_cast<std::uint32_t>(sequence_ + index_ * segment_size_);
  std::uint8_t flags = flags_;
  // What is said once: the congestion window's reduction (RFC 3168) with the first, the end with the last.
  if (index_ != 0) flags &= static_cast<std::uint8_t>(~kTcpCwr);
  if (index_ + 1 != count_) flags &= static_cast<std::uint8_t>(~(kTcpFin | kTcpPsh));
  store32(transport + kTcpSequence, sequence);
  transport[kTcpFlags] = flags;
  const auto offset_and_flags = static_cast<std::uint16_t>(transport[kTcpDataOffset] << 8 | flags);
  sum = add_sums(sum, word_sum(static_cast<std::uint16_t>(sequence >> 16)) +
                          word_sum(static_cast<std::uint16_t>(sequence)) + word_sum(offset_and_flags));
  store_checksum(transport + kTcpChecksum, sum);
}

std::optional<Segment> Segmenter::next(std::span<std::uint8_t> storage) {
  if (index_ == count_) return std::nullopt;
  if (header_size_ == 0) {
    ++index_;
    return Segment{{}, frame_};
  }
  const std::size_t at = header_size_ + index_ * segment_size_;
  const auto data = frame_.subspan(at, std::min(segment_size_, frame_.size() - at));
  const auto header = storage.first(header_size_);
  std::memcpy(header.data(), frame_.data(), header_size_);
  write_header(header.data(), data.size(), sum_bytes(data));
  ++index_;
  return Segment{header, data};
}

std::size_t Segmenter::next_into(std::span<std::uint8_t> buffer) {
  if (index_ == count_) return 0;
  const std::size_t at = header_size_ + index_ * segment_size_;
  const auto data = frame_.subspan(at, std::min(segment_size_, frame_.size() - at));
  const auto packet = buffer.first(header_size_ + data.size());
  std::uint8_t* const to = packet.data() + header_size_;
  if (header_size_ == 0) {
    std::memcpy(to, data.data(), data.size());
  } else {
    std::memcpy(packet.data(), frame_.data(), header_size_);
    write_header(packet.data(), data.size(), copy_and_sum(to, data.data(), data.size()));
  }
  ++index_;
  return packet.size();
}

}  // namespace sixlink::datapath
