// SPDX-License-Identifier: BSD-3-Clause
// When a tunnel's lease is to be renewed.
#include "src/tunnel/lease_clock.h"

#include <algorithm>

namespace sixlink::tunnel {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// Time for a broker to be repaired, without asking much more often than the lifetime wants it.
constexpr seconds kLongestMargin = hours(24);
constexpr seconds kShortestMargin = minutes(5);
// However short the lifetime is, the broker is not asked all the time.
constexpr seconds kSoonest{30};
constexpr seconds kLatest = minutes(5);  // between two attempts

}  // namespace

LeaseClock::LeaseClock(seconds lifetime, TimePoint now) {
  if (lifetime <= seconds(0)) {
    end_ = due_ = TimePoint::max();
    return;
  }
  const auto margin = std::min(lifetime / 2, std::clamp(lifetime / 8, kShortestMargin, kLongestMargin));
  end_ = now + lifetime;
  due_ = now + std::max(lifetime - margin, kSoonest);
}

void LeaseClock::failed(TimePoint now) {
  const auto left = end_ > now ? std::chrono::floor<seconds>(end_ - now) : kLatest * 4;
  due_ = now + std::clamp(left / 4, kSoonest, std::max(kLatest, kSoonest));
}

}  // namespace sixlink::tunnel
