// SPDX-License-Identifier: BSD-3-Clause
// Proves that a tunnel carries packets: ICMPv6 echo to the broker's keepalive address (man/sixlink-tsp.7). A
// machine without I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "src/net/icmpv6.h"

namespace sixlink::tunnel {

class Keepalive {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Settings {
    net::AddressV6 source;  // the tunnel's own inner address
    net::AddressV6 destination;
    std::chrono::milliseconds interval{30000};
    std::chrono::milliseconds timeout{5000};  // an echo without reply this long is lost
    unsigned most_lost = 3;                   // in a row: dead
    std::uint16_t identifier = 0;             // unpredictable
    std::uint64_t cookie = 0;  // unpredictable: a reply must carry it, so it cannot be forged blindly
  };

  // The first echo is due at once: it shows whether the tunnel works at all. The second follows soon: Linux
  // NATs take a UDP mapping for a lasting one (120 s instead of 30 s) only when packets pass in both
  // directions more than 2 s after it was made.
  Keepalive(const Settings& settings, TimePoint now) : settings_(settings), due_(now) {}

  struct Output {
    std::optional<net::IcmpPacket> echo;  // to be sent into the tunnel
    bool is_dead = false;                 // most_lost echoes in a row were lost
  };
  Output tick(TimePoint now);
  TimePoint deadline() const { return due_; }

  // A packet from the tunnel. True: it was the awaited reply, consumed.
  bool input(const net::Ipv6Header& header, std::span<const std::uint8_t> packet, TimePoint now);

  // Something suggests trouble (a send error, an address change): ask now instead of at the interval's end.
  void probe_soon(TimePoint now);

  std::optional<std::chrono::microseconds> rtt() const { return rtt_; }
  std::optional<TimePoint> last_reply() const { return last_reply_; }
  unsigned lost_in_a_row() const { return lost_; }

 private:
  Settings settings_;
  TimePoint due_;
  TimePoint sent_{};
  bool is_waiting_ = false;
  std::uint16_t sequence_ = 0;
  unsigned lost_ = 0;
  bool was_answered_ = false;
  std::optional<std::chrono::microseconds> rtt_;
  std::optional<TimePoint> last_reply_;
};

}  // namespace sixlink::tunnel
