// SPDX-License-Identifier: BSD-3-Clause
// How many handshakes arrive, in all and from one address: when to ask for cookies, and whom to refuse
// (whitepaper section 5.3). Bounded memory whatever arrives.
#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <vector>

#include "src/wireguard/crypto.h"
#include "src/wireguard/protocol.h"

namespace sixlink::wireguard {

// A bucket that drains at the given rate: overflowing means busy, and so for a second after.
class LoadMeter {
 public:
  explicit LoadMeter(unsigned per_second) : per_second_(per_second) {}
  // One more arrived. True: we are under load.
  bool add(TimePoint now);
  bool is_busy(TimePoint now) const { return now < busy_until_; }

 private:
  unsigned per_second_;
  double level_ = 0;
  TimePoint since_{};
  TimePoint busy_until_{};
};

// Handshakes of one IPv4 address, or of one IPv6 /64, under load: 20 a second with a burst of 5 (the kernel's
// figures). Asked after mac2 was found right, so only for addresses that the sender really has.
class SourceLimiter {
 public:
  explicit SourceLimiter(const SecretKey& secret) : secret_(secret.duplicate()) {}
  bool allow(Crypto& crypto, const boost::asio::ip::address& source, TimePoint now);

  static constexpr unsigned kPerSecond = 20;
  static constexpr unsigned kBurst = 5;
  // Places in the table. Someone whose place was taken by another starts with a full bucket again.
  static constexpr std::size_t kSets = 1024;
  static constexpr std::size_t kWays = 4;

 private:
  struct Entry {
    std::uint64_t source = 0;  // a keyed hash of it; 0: free
    TimePoint used{};
    double tokens = 0;
  };
  SecretKey secret_;
  std::vector<std::array<Entry, kWays>> sets_;  // made when first needed
};

}  // namespace sixlink::wireguard
