// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/replay_window.h"

#include <algorithm>
#include <new>

#include "src/wireguard/protocol.h"

namespace sixlink::wireguard {

bool ReplayWindow::is_refused(std::uint64_t counter) const {
  if (counter >= kRejectAfterMessages) return true;
  if (counter >= next_) return false;
  if (counter + kSize < next_) return true;
  const std::uint64_t bit = std::uint64_t{1} << (counter % 64);
  if (!bits_) return (first_ & bit) != 0;
  return ((*bits_)[counter / 64 % kWords] & bit) != 0;
}

bool ReplayWindow::accept(std::uint64_t counter) {
  if (is_refused(counter)) return false;
  const std::uint64_t bit = std::uint64_t{1} << (counter % 64);
  if (!bits_ && counter < kFew) {
    first_ |= bit;
    next_ = std::max(next_, counter + 1);
    return true;
  }
  if (!bits_) {
    bits_.reset(new (std::nothrow) std::array<std::uint64_t, kWords>());
    if (!bits_) return false;  // as if it had been lost
    (*bits_)[0] = first_;
  }
  if (counter >= next_) {
    // Words between the newest counter's and this one's are new: what they say is of a window ago.
    const auto newest_word = next_ == 0 ? 0 : (next_ - 1) / 64;
    const auto passed = std::min(counter / 64 - newest_word, kWords);
    for (std::uint64_t i = 1; i <= passed; ++i) (*bits_)[(newest_word + i) % kWords] = 0;
    next_ = counter + 1;
  }
  (*bits_)[counter / 64 % kWords] |= bit;
  return true;
}

}  // namespace sixlink::wireguard
