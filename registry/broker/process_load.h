// SPDX-License-Identifier: BSD-3-Clause
// How busy this process is: its CPU time of the last ten seconds as a part of one core's, which is what the
// thread that does the work can have at most. A machine without I/O, and the clock for it.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>

namespace sixlink::registry {

class ProcessLoad {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kWindow{10};

  // About once a second.
  void add(TimePoint now, std::chrono::microseconds cpu_time);
  // Percent of one core; 0 before there are two samples.
  double percent() const;

 private:
  struct Sample {
    TimePoint at;
    std::chrono::microseconds cpu_time;
  };
  std::deque<Sample> samples_;  // oldest first, the window's and the one before it
};

// User and system time of all threads since the start.
std::chrono::microseconds process_cpu_time();

}  // namespace sixlink::registry
