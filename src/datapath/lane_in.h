// SPDX-License-Identifier: BSD-3-Clause
// From the outer sockets to the interface: receives a batch of super datagrams, asks the policy about each
// packet in them, joins what passes and writes it. The packets stay where they were received.
#pragma once

#include <mutex>
#include <span>
#include <vector>

#include "platform/packet_io.h"
#include "src/datapath/coalesce.h"
#include "src/datapath/lane_counters.h"
#include "src/datapath/lane_mailbox.h"
#include "src/datapath/lane_memory.h"
#include "src/datapath/lane_opener.h"
#include "src/datapath/lane_policy.h"
#include "src/datapath/lane_room.h"
#include "src/datapath/lane_thread.h"

namespace sixlink::datapath {

class InLane {
 public:
  struct Source {
    platform::DatagramSocket* socket;
    Encapsulation encapsulation;
    std::size_t number;  // that the policy and the control thread know it by
  };
  // All outlive the lane. With several queues each flow has its own.
  InLane(std::vector<Source> sources, std::vector<platform::TunQueue*> queues, LanePolicy& policy,
         LaneMailbox& mailbox, std::size_t mtu, LaneRoom room);

  // One batch of source `i`. By the lane's thread; by another while that is paused.
  LaneThread::Turn turn(std::size_t i);
  // An inner packet of source 0 that somebody else received, while the lane is paused.
  void input(const platform::Route& route, std::span<std::uint8_t> packet);
  std::vector<int> descriptors() const;

  // Held around the policy's decisions, never during a system call.
  std::mutex& mutex() { return mutex_; }
  // With the mutex held: keys were changed.
  void forget_keys() {
    if (opener_) opener_->forget_keys();
  }
  const LaneCounters& counters() const { return counters_; }

 private:
  using Lock = std::unique_lock<std::mutex>;

  void take(const Source& source, platform::ReceiveBatch::Entry& entry, Lock& lock);
  void take_raw(const Source& source, const platform::Route& route, std::span<std::uint8_t> packet,
                Lock& lock);
  void take_sealed(const Source& source, const platform::Route& route, std::span<std::uint8_t> datagram,
                   Lock& lock);
  void take_control(const Source& source, const platform::Route& route, std::span<std::uint8_t> datagram,
                    bool is_truncated);
  // Whether the packet may go to the interface.
  bool pass(const Source& source, LanePeer* sender, const platform::Route& route,
            std::span<std::uint8_t> packet);
  bool ask(const Source& source, LanePeer& sender, const platform::Route& route,
           std::span<const std::uint8_t> packet);
  void add(std::span<std::uint8_t> packet, Lock& lock);
  void write_frames();
  void write(const FrameHeader& header, std::span<const iovec> pieces, std::size_t packets);

  std::vector<Source> sources_;
  std::vector<platform::TunQueue*> queues_;
  LanePolicy& policy_;
  LaneMailbox& mailbox_;
  const std::size_t mtu_;
  const bool cuts_tcp_;  // the interface does
  std::mutex mutex_;
  LaneCounters counters_;
  platform::ReceiveBatch batch_;
  Coalescer coalescer_;
  std::optional<LaneOpener> opener_;
  // The last packet that passed in this batch, whose, and what its tunnel carries.
  LaneMemory memory_;
  LanePeer* last_sender_ = nullptr;
  std::size_t last_mtu_ = 0;
  std::uint64_t passed_packets_ = 0;  // of the batch
  std::uint64_t passed_bytes_ = 0;
  bool has_failed_ = false;  // the interface
};

}  // namespace sixlink::datapath
