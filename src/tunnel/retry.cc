// SPDX-License-Identifier: BSD-3-Clause
// How long to wait between attempts.
#include "src/tunnel/retry.h"

#include <algorithm>

namespace sixlink::tunnel {

std::chrono::milliseconds RetrySchedule::repeat() {
  std::uniform_int_distribution<std::int64_t> jitter(current_.count() * 3 / 4, current_.count() * 5 / 4);
  return std::min(std::chrono::milliseconds(jitter(random_)), std::max(longest_, delay_));
}

std::chrono::milliseconds RetrySchedule::next() {
  const auto wait = repeat();
  current_ = std::min(2 * current_, std::max(longest_, delay_));
  return wait;
}

}  // namespace sixlink::tunnel
