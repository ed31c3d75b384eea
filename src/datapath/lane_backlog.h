// SPDX-License-Identifier: BSD-3-Clause
// What the system wants sent and the lane has not come to yet. A flow that has nothing here goes before those
// that queue (RFC 8290 section 4.1.1 has the idea: a ping or a DNS query does not wait behind a download);
// the frames of one flow stay in order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "platform/packet_io.h"
#include "src/datapath/frame.h"
#include "src/datapath/lane_room.h"

namespace sixlink::datapath {

// Of a lane's thread alone. Allocates nothing after it was made; its room is touched as it is used, from the
// start again whenever it was empty.
class LaneBacklog {
 public:
  struct Frame {
    FrameHeader header;
    std::span<std::uint8_t> bytes;
  };
  static constexpr std::size_t kMostFrames = 512;
  static constexpr std::size_t kRoom = 4 << 20;
  static constexpr std::size_t kSmallRoom = 384 * 1024;  // some frames of the largest size
  // A batch has all that goes first, and of the rest so much, one frame at least: its data should still be in
  // the cache when they are sent.
  static constexpr std::size_t kBatchBytes = 128 * 1024;
  static constexpr std::size_t kBatchFrames = 128;

  explicit LaneBacklog(LaneRoom room = LaneRoom::kFull);

  // Reads until the queue has no more or there is no room. What take() gave is gone. 0, or what
  // TunQueue::read() says of a queue that is of no use any more, as a positive number.
  int fill(platform::TunQueue& queue);
  // The next batch, in the order in which it is to be sent; until fill() is called.
  std::span<const Frame> take();
  bool is_empty() const { return waiting_ == 0; }
  // The queue had no more.
  bool is_drained() const { return is_drained_; }

 private:
  static constexpr std::size_t kFlows = 256;

  struct Entry {
    FrameHeader header;
    std::uint32_t offset;
    std::uint32_t size;
    std::uint8_t flow;
    bool is_taken;
  };

  void release();
  // Where a frame of any size can be read to; empty: nowhere.
  std::span<std::uint8_t> find_room();
  void take(Entry& entry);
  std::size_t place(std::size_t i) const { return (first_ + i) % kMostFrames; }

  const std::size_t size_;  // of room_
  std::unique_ptr<std::uint8_t[]> room_;
  std::size_t used_until_ = 0;
  std::array<Entry, kMostFrames> entries_;  // a ring, in the order of arrival
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::size_t waiting_ = 0;                       // of these, those that were not taken
  std::array<std::uint16_t, kFlows> of_flow_{};   // of these, by flow
  std::vector<std::uint16_t> first_of_its_flow_;  // places of those that go first
  std::vector<Frame> batch_;
  bool is_drained_ = false;
};

}  // namespace sixlink::datapath
