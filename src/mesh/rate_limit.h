// SPDX-License-Identifier: BSD-3-Clause
// How much work strangers may cause: token buckets, one for each of them (an IPv4 address, an IPv6 /64) and
// one for all.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <unordered_map>

#include "src/mesh/node.h"
#include "src/mesh/seeded_random.h"

namespace sixlink::mesh {

class RateLimit {
 public:
  struct Rate {
    double per_second;
    double burst;
  };
  static constexpr std::size_t kMostAddresses = 512;

  RateLimit(Rate each, Rate all) : each_(each), all_{all}, total_{all.burst, {}} {}

  // True: it may, and that was counted.
  bool take(const boost::asio::ip::address& address, TimePoint now, SeededRandom& random);
  std::size_t size() const { return buckets_.size(); }

 private:
  struct Bucket {
    double tokens = 0;
    TimePoint filled;
  };
  static void fill(Bucket& bucket, const Rate& rate, TimePoint now);
  void make_room(TimePoint now, SeededRandom& random);

  Rate each_;
  Rate all_;
  Bucket total_;
  std::unordered_map<std::uint64_t, Bucket> buckets_;
};

}  // namespace sixlink::mesh
