// SPDX-License-Identifier: BSD-3-Clause
// The WireGuard protocol's constants (whitepaper sections 5.4 and 6.1), and our own limits.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

namespace sixlink::wireguard {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Bytes = std::span<const std::uint8_t>;

// ---- the specification's ----

// Section 6.1. A key that is older or has sent more neither sends nor receives.
inline constexpr std::uint64_t kRekeyAfterMessages = std::uint64_t{1} << 60;
inline constexpr std::uint64_t kRejectAfterMessages = UINT64_MAX - (std::uint64_t{1} << 13);
inline constexpr std::chrono::seconds kRekeyAfterTime{120};
inline constexpr std::chrono::seconds kRejectAfterTime{180};
inline constexpr std::chrono::seconds kRekeyAttemptTime{90};
inline constexpr std::chrono::seconds kRekeyTimeout{5};
inline constexpr std::chrono::seconds kKeepaliveTimeout{10};
// Section 6.3: all keys go when no new ones came for so long.
inline constexpr std::chrono::seconds kZeroKeysAfter = 3 * kRejectAfterTime;
// Section 6.4: how often the secret behind cookies changes, and how long a cookie is of use.
inline constexpr std::chrono::seconds kCookieLifetime{120};
// Section 6.1: up to a third of a second is added to REKEY_TIMEOUT, so that two peers do not start together.
inline constexpr std::chrono::milliseconds kLongestJitter{333};
// Section 5.4.6: inner packets are filled with zeros to a multiple of this.
inline constexpr std::size_t kPadding = 16;

// ---- our own ----

// Transport data: type, receiver index, counter; the packet; the tag.
inline constexpr std::size_t kDataHeaderSize = 16;
inline constexpr std::size_t kTagSize = 16;
inline constexpr std::size_t kDataOverhead = kDataHeaderSize + kTagSize;
// Inner packets that wait for a session, per peer: some round trips of a slow start, not a store.
inline constexpr std::size_t kMostStagedPackets = 64;
// One peer's initiations that are looked at in a second: two DH operations each (the kernel's figure).
inline constexpr unsigned kInitiationsPerSecond = 50;

// What an inner packet takes inside a data message: filled to kPadding, but not beyond the tunnel's MTU. A
// packet larger than the MTU (a kernel lets some through) is filled no further than to its own multiple of
// it.
constexpr std::size_t padded_size(std::size_t size, std::size_t mtu) {
  const auto padded = (size + kPadding - 1) / kPadding * kPadding;
  if (mtu == 0 || padded <= mtu) return padded;
  return size > mtu ? size : mtu;
}

}  // namespace sixlink::wireguard
