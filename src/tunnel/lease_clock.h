// SPDX-License-Identifier: BSD-3-Clause
// When a tunnel's lease is to be renewed (RFC 5572 section 5.4: the tunnel's lifetime). A machine without
// I/O.
#pragma once

#include <chrono>

namespace sixlink::tunnel {

class LeaseClock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Granted now. `lifetime` 0: the broker named no end.
  LeaseClock(std::chrono::seconds lifetime, TimePoint now);

  // When to ask for it again; max(): never.
  TimePoint due() const { return due_; }
  // The broker did not give it again: later once more.
  void failed(TimePoint now);
  bool is_over(TimePoint now) const { return now >= end_; }

 private:
  TimePoint end_;
  TimePoint due_;
};

}  // namespace sixlink::tunnel
