// SPDX-License-Identifier: BSD-3-Clause
#include "registry/api/failure_backoff.h"

#include <algorithm>

#include "src/net/outer_address.h"

namespace sixlink::registry {

std::chrono::seconds FailureBackoff::wait(const boost::asio::ip::address& address, TimePoint now) const {
  const auto found = failures_.find(net::quota_address(address));
  if (found == failures_.end() || found->second.until <= now) return std::chrono::seconds(0);
  return std::chrono::ceil<std::chrono::seconds>(found->second.until - now);
}

void FailureBackoff::failed(const boost::asio::ip::address& address, TimePoint now) {
  if (failures_.size() >= kMostAddresses) expire(now);
  if (failures_.size() >= kMostAddresses) {
    failures_.erase(
        std::ranges::min_element(failures_, {}, [](const auto& entry) { return entry.second.last; }));
  }
  auto& failures = failures_[net::quota_address(address)];
  if (now - failures.last > kMemory) failures = {};
  failures.last = now;
  if (++failures.count <= kFree) return;
  constexpr unsigned kMostDoublings = 12;  // beyond kLongest
  const auto time = kFirst * (1 << std::min(failures.count - kFree - 1, kMostDoublings));
  failures.until = now + std::min<std::chrono::seconds>(time, kLongest);
}

void FailureBackoff::expire(TimePoint now) {
  std::erase_if(failures_, [&](const auto& entry) { return now - entry.second.last > kMemory; });
}

}  // namespace sixlink::registry
