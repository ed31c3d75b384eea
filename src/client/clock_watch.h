// SPDX-License-Identifier: BSD-3-Clause
// Notices that the calendar's clock was set. A machine without a battery for it begins with a wrong time, by
// which nobody's certificate is valid: what was refused then is to be looked at again.
#pragma once

#include <chrono>

namespace sixlink::client {

class ClockWatch {
 public:
  using Steady = std::chrono::steady_clock::time_point;
  using Wall = std::chrono::system_clock::time_point;
  // Certificates of registries are valid from an hour before they are made. What clocks that run too fast or
  // too slow gather in weeks counts as well.
  static constexpr std::chrono::minutes kStep{1};

  ClockWatch(Steady now, Wall wall);
  // True, once: the clock was set by kStep or more, or has come to `valid_from`.
  bool look(Steady now, Wall wall, Wall valid_from);

 private:
  std::chrono::system_clock::duration ahead_;  // of the steady clock
  bool is_early_ = false;
};

}  // namespace sixlink::client
