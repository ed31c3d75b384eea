// SPDX-License-Identifier: BSD-3-Clause
// How often something may be done from one outer address: a token bucket each (failed logins, tunnel
// requests). No I/O; memory is bounded.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <map>

namespace sixlink::registry {

class AddressBudget {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // `burst` at once, then `per_second` on average.
  AddressBudget(double burst, double per_second) : burst_(burst), per_second_(per_second) {}

  // Whether one is left for the address (counted as net::quota_address() does).
  bool has(const boost::asio::ip::address& address, TimePoint now) const;
  // Takes one; false: none was left.
  bool take(const boost::asio::ip::address& address, TimePoint now);
  // What was taken turned out not to count.
  void give_back(const boost::asio::ip::address& address, TimePoint now);
  // Forgets addresses whose budget is full again.
  void expire(TimePoint now);
  std::size_t size() const { return spent_.size(); }

 private:
  // Above this the budgets of all are forgotten: then the attacker has so many addresses that counting by
  // address is in vain.
  static constexpr std::size_t kMostAddresses = 65536;

  struct Spent {
    double tokens = 0;
    TimePoint since{};
  };
  double left(const Spent& spent, TimePoint now) const;

  double burst_;
  double per_second_;
  std::map<boost::asio::ip::address, Spent> spent_;
};

}  // namespace sixlink::registry
