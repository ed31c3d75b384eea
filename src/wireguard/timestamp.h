// SPDX-License-Identifier: BSD-3-Clause
// TAI64N timestamps of initiations: each is greater than the one before, also after a restart (whitepaper
// section 5.1).
#pragma once

#include <chrono>
#include <cstdint>

#include "src/wireguard/messages.h"

namespace sixlink::wireguard {

// A clock that stands still, or was set back, makes timestamps that grow by the least step; after a restart
// peers refuse ours until it has passed what they saw last.
class TimestampClock {
 public:
  Timestamp next(std::chrono::system_clock::time_point wall);

 private:
  std::int64_t last_ = 0;  // nanoseconds
};

}  // namespace sixlink::wireguard
