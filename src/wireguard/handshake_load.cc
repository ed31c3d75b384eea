// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/handshake_load.h"

#include <algorithm>

#include "src/net/outer_address.h"
#include "src/wireguard/little_endian.h"

namespace sixlink::wireguard {
namespace {

// The kernel's: a second of quiet before it takes initiators at their word again.
constexpr std::chrono::seconds kStaysBusy{1};

double seconds(TimePoint::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

bool LoadMeter::add(TimePoint now) {
  // An eighth of a second's worth may come at once, as the kernel's queue is full to an eighth when it is
  // busy.
  const double most = per_second_ / 8.0 + 1;
  level_ = std::max(0.0, level_ - seconds(now - since_) * per_second_) + 1;
  since_ = now;
  if (level_ > most) {
    level_ = most;
    busy_until_ = now + kStaysBusy;
  }
  return is_busy(now);
}

bool SourceLimiter::allow(Crypto& crypto, const boost::asio::ip::address& source, TimePoint now) {
  if (sets_.empty()) sets_.resize(kSets);
  const auto counted = net::quota_address(source);
  const auto text = counted.is_v4()
                        ? boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, counted.to_v4())
                        : counted.to_v6();
  // Keyed, so that no one can choose whose place to take.
  const auto digest = crypto.mac(secret_.reveal(), text.to_bytes());
  const auto id = std::max<std::uint64_t>(load_le<std::uint64_t>(digest.data()), 1);
  auto& set = sets_[load_le<std::uint64_t>(digest.data() + 8) % kSets];
  auto entry = std::find_if(set.begin(), set.end(), [&](const Entry& e) { return e.source == id; });
  if (entry == set.end()) {
    entry = std::min_element(set.begin(), set.end(),
                             [](const Entry& a, const Entry& b) { return a.used < b.used; });
    *entry = {id, now, kBurst};
  }
  entry->tokens = std::min<double>(kBurst, entry->tokens + seconds(now - entry->used) * kPerSecond);
  entry->used = now;
  if (entry->tokens < 1) return false;
  entry->tokens -= 1;
  return true;
}

}  // namespace sixlink::wireguard
