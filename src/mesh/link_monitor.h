// SPDX-License-Identifier: BSD-3-Clause
// Whether a link that is up still is: asks when it was silent for too long, and soon when traffic went out
// and none came back.
//
//   quiet --idle, or sent without an answer--> asking --answers missing--> dead
//     ^                                           |
//     +---------------anything heard--------------+
#pragma once

#include <array>
#include <bitset>
#include <chrono>
#include <cstdint>
#include <optional>

#include "src/mesh/node.h"
#include "src/mesh/seeded_random.h"

namespace sixlink::mesh {

class LinkMonitor {
 public:
  static constexpr std::chrono::milliseconds kInterval{250};  // of echoes, where the round trip is not longer
  static constexpr unsigned kTries = 3;
  static constexpr unsigned kMostTries = 10;
  static constexpr std::chrono::seconds kIdle{5};

  enum class Verdict : std::uint8_t { kNothing, kAsk, kDead };

  void begin(TimePoint now, SeededRandom& random);
  // Something came out of the link.
  void heard(TimePoint now);
  // Something went in after the last that came out, which was at least kInterval ago: asks at the next tick.
  void sent(TimePoint now);
  // Ask at the next tick, whatever was heard.
  void ask(TimePoint now) { due_ = now, is_asked_for_ = true; }
  // Another neighbour of the peer's gets no answer of it. That is as good as one answer that is missing here.
  void suspected(TimePoint now);
  // kAsk: send echo_sequence() in an echo request. `was_late`: this machine itself did nothing for a while,
  // so that what did not come says nothing.
  Verdict tick(TimePoint now, bool was_late, SeededRandom& random);
  TimePoint due() const { return due_; }

  std::uint32_t echo_sequence() const { return sequence_; }
  void answered(std::uint32_t sequence, TimePoint now);

  bool is_suspect() const { return tries_ > 1; }
  std::optional<std::chrono::microseconds> rtt() const { return rtt_; }
  double loss() const;  // of the last 100 echoes
  TimePoint last_heard() const { return heard_; }

 private:
  std::chrono::nanoseconds interval() const;
  unsigned most_tries() const;

  TimePoint heard_{};
  TimePoint due_ = TimePoint::max();
  unsigned tries_ = 0;
  bool is_asked_for_ = false;
  bool is_suspected_ = false;  // by another, since something was heard
  TimePoint suspected_ = TimePoint::min();
  std::uint32_t sequence_ = 0;  // of the last echo
  std::array<TimePoint, 4> asked_{};
  std::bitset<100> answers_;
  std::optional<std::chrono::microseconds> rtt_;
};

}  // namespace sixlink::mesh
