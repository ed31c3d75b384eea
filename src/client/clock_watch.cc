// SPDX-License-Identifier: BSD-3-Clause
// Steps of the calendar's clock against the steady one.
#include "src/client/clock_watch.h"

#include <utility>

namespace sixlink::client {
namespace {

std::chrono::system_clock::duration ahead_of(ClockWatch::Steady now, ClockWatch::Wall wall) {
  return std::chrono::duration_cast<std::chrono::system_clock::duration>(wall.time_since_epoch() -
                                                                         now.time_since_epoch());
}

}  // namespace

ClockWatch::ClockWatch(Steady now, Wall wall) : ahead_(ahead_of(now, wall)) {}

bool ClockWatch::look(Steady now, Wall wall, Wall valid_from) {
  const auto ahead = ahead_of(now, wall);
  const bool was_early = std::exchange(is_early_, wall < valid_from);
  if (std::chrono::abs(ahead - ahead_) < kStep) return was_early && !is_early_;
  ahead_ = ahead;
  return true;
}

}  // namespace sixlink::client
