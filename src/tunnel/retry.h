// SPDX-License-Identifier: BSD-3-Clause
// How long to wait between attempts: retry_delay, doubled up to retry_delay_max, with jitter. A machine
// without I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace sixlink::tunnel {

class RetrySchedule {
 public:
  // `seed` differs between clients: many that lost the same broker must not come back in the same instant.
  RetrySchedule(std::chrono::seconds delay, std::chrono::seconds longest, std::uint64_t seed)
      : delay_(delay), longest_(longest), current_(delay), random_(seed) {}

  // The wait before the next attempt, and doubles the one after. Between 75 and 125 % of the nominal delay,
  // never above the longest.
  std::chrono::milliseconds next();
  // The same, and the one after is no longer.
  std::chrono::milliseconds repeat();
  // The tunnel worked: start over with the short delay.
  void reset() { current_ = delay_; }

 private:
  std::chrono::milliseconds delay_;
  std::chrono::milliseconds longest_;
  std::chrono::milliseconds current_;
  std::mt19937_64 random_;
};

}  // namespace sixlink::tunnel
