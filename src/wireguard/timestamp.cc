// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/timestamp.h"

#include <algorithm>
#include <bit>

namespace sixlink::wireguard {
namespace {

// 2^62 is 1970 in TAI64; TAI was ten seconds ahead then.
constexpr std::uint64_t kEpoch = 0x400000000000000aULL;
constexpr std::int64_t kSecond = 1'000'000'000;
// Whoever reads a timestamp is not to learn our clock any finer than initiations are told apart: a power of
// two below a second's kInitiationsPerSecond-th part, 16.8 ms.
constexpr std::int64_t kStep =
    static_cast<std::int64_t>(std::bit_floor(std::uint64_t{kSecond / kInitiationsPerSecond}));

}  // namespace

Timestamp TimestampClock::next(std::chrono::system_clock::time_point wall) {
  auto time = std::chrono::duration_cast<std::chrono::nanoseconds>(wall.time_since_epoch()).count();
  time = std::max<std::int64_t>(time, 0);
  last_ = std::max(time - time % kSecond % kStep, last_ + kStep);
  const auto seconds = kEpoch + static_cast<std::uint64_t>(last_ / kSecond);
  const auto nanoseconds = static_cast<std::uint32_t>(last_ % kSecond);
  Timestamp result{};
  for (std::size_t i = 0; i < 8; ++i) result[i] = static_cast<std::uint8_t>(seconds >> (56 - 8 * i));
  for (std::size_t i = 0; i < 4; ++i) result[8 + i] = static_cast<std::uint8_t>(nanoseconds >> (24 - 8 * i));
  return result;
}

}  // namespace sixlink::wireguard
