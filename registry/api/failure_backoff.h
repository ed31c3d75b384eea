// SPDX-License-Identifier: BSD-3-Clause
// Who guesses waits: after some refusals of one outer address each further one doubles the time in which it
// is not heard at all. No I/O; memory is bounded.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <map>

namespace sixlink::registry {

class FailureBackoff {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  static constexpr unsigned kFree = 3;  // typing errors
  static constexpr std::chrono::seconds kFirst{1};
  static constexpr std::chrono::seconds kLongest{3600};
  // Without a failure for so long all is forgotten.
  static constexpr std::chrono::hours kMemory{2};
  // Above this the longest silent are forgotten.
  static constexpr std::size_t kMostAddresses = 65536;

  // How long the address (an IPv6 /64 is one) has to wait; 0: not at all.
  std::chrono::seconds wait(const boost::asio::ip::address& address, TimePoint now) const;
  void failed(const boost::asio::ip::address& address, TimePoint now);
  void expire(TimePoint now);
  std::size_t size() const { return failures_.size(); }

 private:
  struct Failures {
    unsigned count = 0;
    TimePoint last{};
    TimePoint until{};
  };
  std::map<boost::asio::ip::address, Failures> failures_;
};

}  // namespace sixlink::registry
