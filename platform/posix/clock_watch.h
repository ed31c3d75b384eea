// SPDX-License-Identifier: BSD-3-Clause
// Notices that the wall clock was set, or that the machine slept, by its distance from a clock that does
// neither.
#pragma once

#include <chrono>

namespace sixlink::platform::posix {

class ClockWatch {
 public:
  // More than an adjustment by NTP moves it between two looks, less than anyone would call a step.
  static constexpr std::chrono::milliseconds kStep{1000};

  ClockWatch(std::chrono::nanoseconds wall, std::chrono::nanoseconds awake) : distance_(wall - awake) {}

  // Whether the distance jumped since the last look.
  bool has_jumped(std::chrono::nanoseconds wall, std::chrono::nanoseconds awake) {
    const auto before = distance_;
    distance_ = wall - awake;
    const auto moved = distance_ - before;
    return moved > kStep || moved < -kStep;
  }

 private:
  std::chrono::nanoseconds distance_;
};

}  // namespace sixlink::platform::posix
