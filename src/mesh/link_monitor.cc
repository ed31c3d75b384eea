// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/link_monitor.h"

#include <algorithm>
#include <cmath>

namespace sixlink::mesh {
namespace {

// Before the first answer nothing is known of the round trip.
constexpr std::chrono::seconds kFirstInterval{1};
constexpr std::chrono::seconds kLongestInterval{2};
// A link that loses every tenth echo is not to be cut for it: so seldom may echoes that are all lost be by
// chance.
constexpr double kChance = 1e-5;
constexpr std::size_t kEnoughEchoes = 10;
// Whoever asked leaves the next question to the other, so that both know the round trip.
constexpr double kSpread = 0.2;
constexpr std::chrono::milliseconds kOthersTurn{1500};
// Others are many, and may lie.
constexpr std::chrono::seconds kSuspectedPause{5};

}  // namespace

void LinkMonitor::begin(TimePoint now, SeededRandom& random) {
  heard_ = now;
  tries_ = 0;
  due_ = now + random.jitter(kIdle, 0.0,
                             0.02);  // the first at once: the round trip, and what each has
  is_asked_for_ = true;
}

void LinkMonitor::heard(TimePoint now) {
  heard_ = now;
  is_suspected_ = false;
  if (tries_ == 0) return;  // tick() looks at heard_
  tries_ = 0;
  due_ = now + kIdle + kOthersTurn;
}

void LinkMonitor::sent(TimePoint now) {
  if (tries_ != 0 || now - heard_ < kInterval) return;
  ask(now);
}

void LinkMonitor::suspected(TimePoint now) {
  if (suspected_ != TimePoint::min() && now - suspected_ < kSuspectedPause) return;
  suspected_ = now;
  is_suspected_ = true;
  if (tries_ == 0) ask(now);
}

LinkMonitor::Verdict LinkMonitor::tick(TimePoint now, bool was_late, SeededRandom& random) {
  if (now < due_) return Verdict::kNothing;
  if (tries_ == 0 && !is_asked_for_) {
    const auto idle_until = heard_ + kIdle;
    if (now < idle_until) {
      due_ = idle_until + random.jitter(kIdle, 0.0, kSpread);
      return Verdict::kNothing;
    }
  }
  is_asked_for_ = false;
  if (tries_ + (is_suspected_ ? 1 : 0) >= most_tries() && !was_late) return Verdict::kDead;
  // The same question again is no further loss.
  if (!was_late || tries_ == 0) {
    ++tries_;
    ++sequence_;
  }
  asked_[sequence_ % asked_.size()] = now;
  answers_[sequence_ % answers_.size()] = false;
  due_ = now + interval();
  return Verdict::kAsk;
}

void LinkMonitor::answered(std::uint32_t sequence, TimePoint now) {
  const auto age = sequence_ - sequence;
  if (sequence == 0 || age >= asked_.size() || sequence > sequence_) return;
  if (answers_[sequence % answers_.size()]) return;
  answers_[sequence % answers_.size()] = true;
  rtt_ = std::chrono::duration_cast<std::chrono::microseconds>(now - asked_[sequence % asked_.size()]);
}

double LinkMonitor::loss() const {
  // The newest may still be under way.
  const bool is_open = sequence_ != 0 && tries_ != 0 && !answers_[sequence_ % answers_.size()];
  const auto total = std::min<std::size_t>(sequence_, answers_.size()) - (is_open ? 1 : 0);
  if (total == 0) return 0;
  return 1 - static_cast<double>(answers_.count()) / static_cast<double>(total);
}

std::chrono::nanoseconds LinkMonitor::interval() const {
  if (!rtt_) return kFirstInterval;
  return std::clamp<std::chrono::nanoseconds>(2 * *rtt_, kInterval, kLongestInterval);
}

unsigned LinkMonitor::most_tries() const {
  if (std::min<std::size_t>(sequence_, answers_.size()) < kEnoughEchoes) return kTries;
  // Those that are missing now are what is to be judged.
  const auto past = static_cast<double>(std::min<std::size_t>(sequence_, answers_.size())) - tries_;
  const double rate = past < 1 ? 0 : 1 - std::min(1.0, static_cast<double>(answers_.count()) / past);
  if (rate <= 0) return kTries;
  if (rate >= 1) return kMostTries;
  const auto needed = static_cast<unsigned>(std::ceil(std::log(kChance) / std::log(rate)));
  return std::clamp(needed, kTries, kMostTries);
}

}  // namespace sixlink::mesh
