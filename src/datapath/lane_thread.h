// SPDX-License-Identifier: BSD-3-Clause
// A thread of the datapath: waits for descriptors, works through what they have, and obeys the control
// thread between two batches. Idle, it sleeps until one of them has something.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "src/datapath/wake_pipe.h"

namespace sixlink::datapath {

class LaneThread {
 public:
  enum class Turn {
    kMore,   // there may be more
    kEmpty,  // nothing is left for now
    kEnded,  // this descriptor is of no use any more
  };
  // Handles one batch of descriptor `i`; called from the lane's thread alone. Does not throw.
  using Work = std::function<Turn(std::size_t i)>;

  // Begins at once. The descriptors stay open as long as this object.
  LaneThread(std::vector<int> descriptors, Work work);
  LaneThread(const LaneThread&) = delete;
  LaneThread& operator=(const LaneThread&) = delete;
  ~LaneThread() { stop(); }

  // These are the control thread's. Each takes as long as a batch at most.
  void stop();  // joins; for good
  void pause();
  void resume();

 private:
  enum class Order { kRun, kPause, kStop };

  void run();
  // False: stop.
  bool obey();
  void give(Order order);

  std::vector<int> descriptors_;
  Work work_;
  WakePipe wake_;
  std::atomic<bool> has_order_{false};
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  Order order_ = Order::kRun;
  bool is_paused_ = false;
  std::thread thread_;
};

}  // namespace sixlink::datapath
