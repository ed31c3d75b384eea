// SPDX-License-Identifier: BSD-3-Clause
// A ring of frames and a ring of bytes.
#include "src/datapath/lane_backlog.h"

#include <cstring>

#include "src/net/big_endian.h"
#include "src/net/icmpv6.h"
#include "src/net/ipv4.h"

namespace sixlink::datapath {
namespace {

constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::uint8_t kProtocolUdp = 17;

// Frames do not share a cache line.
constexpr std::size_t align(std::size_t size) {
  return (size + 63) / 64 * 64;
}

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15U;
  return hash ^ hash >> 32;
}

std::uint64_t word_at(std::span<const std::uint8_t> bytes, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

std::uint64_t ports(std::span<const std::uint8_t> frame, std::uint8_t protocol, std::size_t at) {
  if ((protocol != kProtocolTcp && protocol != kProtocolUdp) || frame.size() < at + 4) return 0;
  std::uint32_t both = 0;
  std::memcpy(&both, frame.data() + at, sizeof both);
  return both;
}

// Equal for all frames of a flow: of addresses and protocol, and of the ports where each frame has them.
std::uint8_t flow_of(std::span<const std::uint8_t> frame) {
  std::uint64_t hash = 0;
  if (frame.size() >= net::kIpv6HeaderSize && frame[0] >> 4 == 6) {
    for (std::size_t at = 8; at < net::kIpv6HeaderSize; at += 8) hash = mix(hash, word_at(frame, at));
    hash = mix(hash, frame[6] | ports(frame, frame[6], net::kIpv6HeaderSize) << 8);
  } else if (frame.size() >= net::kIpv4HeaderSize && frame[0] >> 4 == 4) {
    const bool is_fragment = (net::get16(frame, 6) & 0x3fff) != 0;
    hash = mix(hash, word_at(frame, 12));
    hash = mix(hash, frame[9] | (is_fragment ? 0 : ports(frame, frame[9], (frame[0] & 0xfU) * 4U) << 8));
  }
  return static_cast<std::uint8_t>(hash >> 8);
}

}  // namespace

LaneBacklog::LaneBacklog(LaneRoom room)
    : size_(room == LaneRoom::kSmall ? kSmallRoom : kRoom), room_(new std::uint8_t[size_]) {
  first_of_its_flow_.reserve(kMostFrames);
  batch_.reserve(kMostFrames);
}

int LaneBacklog::fill(platform::TunQueue& queue) {
  release();
  is_drained_ = false;
  while (count_ < kMostFrames) {
    const auto room = find_room();
    if (room.empty()) break;
    auto& entry = entries_[place(count_)];
    const auto size = queue.read(entry.header, room);
    if (size < 0) return static_cast<int>(-size);
    if (size == 0) {
      is_drained_ = true;
      break;
    }
    entry.offset = static_cast<std::uint32_t>(room.data() - room_.get());
    entry.size = static_cast<std::uint32_t>(size);
    entry.flow = flow_of(room.first(entry.size));
    entry.is_taken = false;
    if (of_flow_[entry.flow]++ == 0) first_of_its_flow_.push_back(static_cast<std::uint16_t>(place(count_)));
    used_until_ = entry.offset + align(entry.size);
    ++count_;
    ++waiting_;
  }
  return 0;
}

std::span<const LaneBacklog::Frame> LaneBacklog::take() {
  batch_.clear();
  std::size_t bytes = 0;
  for (const auto at : first_of_its_flow_) {
    bytes += entries_[at].size;
    take(entries_[at]);
  }
  first_of_its_flow_.clear();
  for (std::size_t i = 0; i < count_ && waiting_ > 0; ++i) {
    auto& entry = entries_[place(i)];
    if (entry.is_taken) continue;
    if (!batch_.empty() && (bytes + entry.size > kBatchBytes || batch_.size() >= kBatchFrames)) break;
    bytes += entry.size;
    take(entry);
  }
  return batch_;
}

void LaneBacklog::take(Entry& entry) {
  entry.is_taken = true;
  --waiting_;
  --of_flow_[entry.flow];
  batch_.push_back({entry.header, {room_.get() + entry.offset, entry.size}});
}

void LaneBacklog::release() {
  while (count_ > 0 && entries_[first_].is_taken) {
    first_ = place(1);
    --count_;
  }
  if (count_ == 0) used_until_ = 0;
}

std::span<std::uint8_t> LaneBacklog::find_room() {
  const std::size_t begin = count_ == 0 ? 0 : entries_[first_].offset;
  auto at = used_until_;
  auto end = begin;
  if (count_ == 0 || at > begin) {
    end = size_;
    if (end - at < kFrameBuffer) {
      at = 0;
      end = begin;
    }
  }
  if (end - at < kFrameBuffer) return {};
  return {room_.get() + at, end - at};
}

}  // namespace sixlink::datapath
