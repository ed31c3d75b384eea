// SPDX-License-Identifier: BSD-3-Clause
// From the interface to the outer sockets: reads a batch of frames, asks the policy where each goes, cuts it
// and sends it. The data stay where they were read; only headers are written.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "platform/packet_io.h"
#include "src/datapath/lane_backlog.h"
#include "src/datapath/lane_counters.h"
#include "src/datapath/lane_mailbox.h"
#include "src/datapath/lane_memory.h"
#include "src/datapath/lane_policy.h"
#include "src/datapath/lane_room.h"
#include "src/datapath/lane_sealer.h"
#include "src/datapath/lane_thread.h"
#include "src/datapath/segment.h"

namespace sixlink::datapath {

class OutLane {
 public:
  // All outlive the lane.
  OutLane(platform::TunQueue& queue, const std::vector<platform::DatagramSocket*>& sockets,
          LanePolicy& policy, LaneMailbox& mailbox, LaneRoom room);

  // One batch. By the lane's thread.
  LaneThread::Turn turn();
  int fd() const { return queue_.fd(); }

  // Held around the policy's decisions, never during a system call.
  std::mutex& mutex() { return mutex_; }
  // With the mutex held: keys were changed.
  void forget_keys() {
    if (sealer_) sealer_->forget_keys();
  }
  const LaneCounters& counters() const { return counters_; }

 private:
  using Frame = LaneBacklog::Frame;
  struct Output {
    platform::DatagramSocket* socket;
    platform::SendBatch batch;
    std::uint64_t bytes = 0;  // of inner packets in `batch`
  };

  void forward(const Frame& frame, std::unique_lock<std::mutex>& lock);
  void send_first(std::unique_lock<std::mutex>& lock);
  // The frame that the segmenter has, packet by packet: as they are, encrypted, or to the control thread.
  void cut(const LanePolicy::Departure& departure, std::unique_lock<std::mutex>& lock);
  void seal(const LanePolicy::Departure& departure, std::unique_lock<std::mutex>& lock);
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
  LaneBacklog backlog_;
  // For the headers of plain packets, or for encrypted ones.
  const std::size_t room_size_;
  std::unique_ptr<std::uint8_t[]> room_;
  std::size_t room_used_ = 0;
  std::optional<LaneSealer> sealer_;
  // What was decided about the last frame that passed in this batch.
  LaneMemory memory_;
  LanePolicy::Departure departure_;
  std::size_t last_largest_ = 0;
};

}  // namespace sixlink::datapath
