// SPDX-License-Identifier: BSD-3-Clause
// How often something may be done from one outer address.
#include "registry/broker/address_budget.h"

#include <algorithm>

#include "src/net/outer_address.h"

namespace sixlink::registry {

double AddressBudget::left(const Spent& spent, TimePoint now) const {
  const double seconds = std::chrono::duration<double>(now - spent.since).count();
  return std::min(burst_, spent.tokens + seconds * per_second_);
}

bool AddressBudget::has(const boost::asio::ip::address& address, TimePoint now) const {
  const auto found = spent_.find(net::quota_address(address));
  return found == spent_.end() || left(found->second, now) >= 1;
}

bool AddressBudget::take(const boost::asio::ip::address& address, TimePoint now) {
  if (spent_.size() >= kMostAddresses) expire(now);
  if (spent_.size() >= kMostAddresses) spent_.clear();
  auto& spent = spent_.try_emplace(net::quota_address(address), Spent{burst_, now}).first->second;
  const double tokens = left(spent, now);
  if (tokens < 1) return false;
  spent = {tokens - 1, now};
  return true;
}

void AddressBudget::give_back(const boost::asio::ip::address& address, TimePoint now) {
  const auto found = spent_.find(net::quota_address(address));
  if (found != spent_.end()) found->second = {std::min(burst_, left(found->second, now) + 1), now};
}

void AddressBudget::expire(TimePoint now) {
  std::erase_if(spent_, [&](const auto& entry) { return left(entry.second, now) >= burst_; });
}

}  // namespace sixlink::registry
