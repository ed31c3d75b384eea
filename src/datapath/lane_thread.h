// SPDX-License-Identifier: BSD-3-Clause
// A thread of the datapath: waits for descriptors, works through what they have, and obeys the control
// thread between two batches. Idle, it sleeps until one of them has something.
#pragma once

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
    kMore,   // there may be more, also where the descriptor does not show it
    kEmpty,  // nothing is left for now
    kEnded,  // this descriptor is of no use any more
  };
  // Handles one batch of descriptor `i`; called from the lane's thread alone. Does not throw.
  using Work = std::function<Turn(std::size_t i)>;

  // Begins at once. The descriptors stay open as long as this object. `is_urgent`: it goes before others,
  // where the system can.
  LaneThread(std::vector<int> descriptors, bool is_urgent, Work work);
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
  bool is_urgent_;
  Work work_;
  WakePipe wake_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  Order order_ = Order::kRun;
  bool is_paused_ = false;
  std::thread thread_;
};

}  // namespace sixlink::datapath
