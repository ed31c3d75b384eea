// SPDX-License-Identifier: BSD-3-Clause
// Finds the largest inner packet that a tunnel carries in both directions, with echoes of several sizes to
// the broker that may not be fragmented outside (in the manner of RFC 8899). A machine without I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "src/net/icmpv6.h"
#include "src/tunnel/echo_message.h"

namespace sixlink::tunnel {

class PathProbe {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Settings {
    int least = 1280;              // inner sizes: what is taken for granted ...
    int largest = 1480;            // ... and what the first link outside would carry
    int overhead = 20;             // of the encapsulation: usual outer MTUs less this are tried
    bool is_v4 = false;            // of the inner packets
    std::uint16_t identifier = 0;  // unpredictable, as the cookie
    std::uint64_t cookie = 0;
  };

  PathProbe(const Settings& settings, TimePoint now);

  // To be sent now, largest first: all that were not answered, three times in all.
  std::vector<EchoMessage> tick(TimePoint now);
  // TimePoint::max() when it is over.
  TimePoint deadline() const { return due_; }
  bool is_done() const { return due_ == TimePoint::max(); }

  // An echo reply from the broker, its checksum verified. True: it is to a probe.
  bool input(const net::EchoReply& reply, TimePoint now);

  // The largest that was answered; nullopt: none was, and nothing is known.
  std::optional<int> result() const { return best_; }

 private:
  Settings settings_;
  std::vector<int> sizes_;  // largest first
  TimePoint due_;
  unsigned round_ = 0;
  std::optional<int> best_;
};

}  // namespace sixlink::tunnel
