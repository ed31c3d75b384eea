// SPDX-License-Identifier: BSD-3-Clause
// From the interface to the outer sockets: reads a batch of frames, asks the policy where each goes, cuts it
// and sends it. The data stay where they were read; only headers are written.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "platform/packet_io.h"
#include "src/datapath/lane_counters.h"
#include "src/datapath/lane_mailbox.h"
#include "src/datapath/lane_policy.h"
#include "src/datapath/lane_thread.h"
#include "src/datapath/segment.h"

namespace sixlink::datapath {

class OutLane {
 public:
  // All outlive the lane.
  OutLane(platform::TunQueue& queue, std::vector<platform::DatagramSocket*> sockets, LanePolicy& policy,
          LaneMailbox& mailbox);

  // One batch. By the lane's thread.
  LaneThread::Turn turn();
  int fd() const { return queue_.fd(); }

  // Held around the policy's decisions, never during a system call.
  std::mutex& mutex() { return mutex_; }
  const LaneCounters& counters() const { return counters_; }

 private:
  static constexpr std::size_t kMostFrames = 128;
  // Two frames of the largest size fit: a batch ends when the next one might not.
  static constexpr std::size_t kFrameRoom = 2 * kFrameBuffer;
  static constexpr std::size_t kHeaderRoom = 128 * 1024;

  struct Frame {
    FrameHeader header;
    std::span<std::uint8_t> bytes;
  };
  struct Output {
    platform::DatagramSocket* socket;
    platform::SendBatch batch;
    std::uint64_t bytes = 0;  // of inner packets in `batch`
  };

  // The error that ends the lane; 0: none.
  int read_batch();
  void forward(const Frame& frame, std::unique_lock<std::mutex>& lock);
  void hand_over(const LanePolicy::Departure& departure);
  void refuse(const LanePolicy::Departure& departure);
  void flush();
  void flush(Output& output);

  platform::TunQueue& queue_;
  LanePolicy& policy_;
  LaneMailbox& mailbox_;
  std::mutex mutex_;
  LaneCounters counters_;
  std::vector<Output> outputs_;
  Segmenter segmenter_;
  std::unique_ptr<std::uint8_t[]> frame_room_;
  std::unique_ptr<std::uint8_t[]> header_room_;
  std::size_t headers_used_ = 0;
  std::array<Frame, kMostFrames> frames_;
  std::size_t count_ = 0;
  bool is_drained_ = false;  // the queue had no more
};

}  // namespace sixlink::datapath
