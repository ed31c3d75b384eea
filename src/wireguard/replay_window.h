// SPDX-License-Identifier: BSD-3-Clause
// Which counters of a session were seen: each is accepted once, and none that is too old (RFC 6479,
// whitepaper section 5.4.6).
#pragma once

#include <array>
#include <cstdint>
#include <memory>

namespace sixlink::wireguard {

// Not thread-safe: see Keypair. A session that received less than kFew messages has no bitmap yet: of a
// hundred thousand peers most are idle.
class ReplayWindow {
 public:
  static constexpr std::uint64_t kWords = 128;
  // Counters this far behind the newest one, and less, are still told apart.
  static constexpr std::uint64_t kSize = (kWords - 1) * 64;  // 8128

  // True, once, for a counter that was not seen. To be called after the message was authenticated.
  bool accept(std::uint64_t counter);
  // Says no early, before the work of decrypting: accept() would refuse.
  bool is_refused(std::uint64_t counter) const;

 private:
  static constexpr std::uint64_t kFew = 64;

  std::uint64_t next_ = 0;   // one more than the newest; no counter reaches 2^64 - 1
  std::uint64_t first_ = 0;  // bits of counters below kFew, until there is a bitmap
  std::unique_ptr<std::array<std::uint64_t, kWords>> bits_;
};

}  // namespace sixlink::wireguard
