// SPDX-License-Identifier: BSD-3-Clause
// Proves that a tunnel carries packets: echoes to the broker's keepalive address (man/sixlink-tsp.7), and
// earlier ones when packets go out and none come in. A machine without I/O.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "src/net/icmpv6.h"
#include "src/tunnel/echo_message.h"

namespace sixlink::tunnel {

class Keepalive {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Settings {
    std::chrono::milliseconds interval{30000};
    std::chrono::milliseconds timeout{5000};  // a question without an answer this long is lost
    unsigned most_lost = 3;                   // in a row: dead
    // A question is several echoes, so that a bad line, which loses every second packet, is not a dead one.
    unsigned echoes = 4;
    // Packets that went out this long without one coming in are a reason to ask now, and impatiently:
    // suspicion and three impatient timeouts must stay below 10 s.
    std::chrono::milliseconds suspicion{2000};
    std::chrono::milliseconds impatient_timeout{2000};
    // The address may not answer at all (an AFTR's): only one that has answered before can be dead.
    bool may_be_mute = false;
    std::uint16_t identifier = 0;  // unpredictable
    std::uint64_t cookie = 0;      // unpredictable: a reply must carry it, so it cannot be forged blindly
  };

  // The first echo is due at once: it shows whether the tunnel works at all. The second follows soon: Linux
  // NATs take a UDP mapping for a lasting one (120 s instead of 30 s) only when packets pass in both
  // directions more than 2 s after it was made.
  Keepalive(const Settings& settings, TimePoint now) : settings_(settings), due_(now) {}

  struct Output {
    std::optional<EchoMessage> echo;  // to be sent into the tunnel
    bool is_dead = false;             // most_lost questions in a row were lost
  };
  Output tick(TimePoint now);
  TimePoint deadline() const { return due_; }

  // An echo reply from the keepalive address, its checksum verified. True: it answers an echo of this one.
  bool input(const net::EchoReply& reply, TimePoint now);

  // How many packets the tunnel has carried so far, without our own echoes; to be told every second or so.
  void observe(std::uint64_t packets_in, std::uint64_t packets_out, TimePoint now);

  // Something suggests trouble (a send error, an address change): ask now instead of at the interval's end.
  void probe_soon(TimePoint now);

  std::optional<std::chrono::microseconds> rtt() const { return rtt_; }
  std::optional<TimePoint> last_reply() const { return last_reply_; }
  unsigned lost_in_a_row() const { return lost_; }

 private:
  std::chrono::milliseconds timeout() const {
    return is_impatient_ ? std::min(settings_.timeout, settings_.impatient_timeout) : settings_.timeout;
  }
  TimePoint next_echo() const { return std::min(asked_ + timeout(), sent_ + timeout() / settings_.echoes); }

  Settings settings_;
  TimePoint due_;
  TimePoint asked_{};  // the question's first echo
  TimePoint sent_{};   // its last one
  bool is_waiting_ = false;
  bool is_impatient_ = false;  // until the next reply
  std::uint16_t sequence_ = 0;
  unsigned lost_ = 0;
  bool was_answered_ = false;
  std::optional<std::chrono::microseconds> rtt_;
  std::optional<TimePoint> last_reply_;
  std::uint64_t packets_in_ = 0;
  std::uint64_t packets_out_ = 0;
  std::optional<TimePoint> unanswered_since_;  // packets went out, and none has come in
};

}  // namespace sixlink::tunnel
