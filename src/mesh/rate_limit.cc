// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/rate_limit.h"

#include <algorithm>
#include <iterator>

namespace sixlink::mesh {
namespace {

// 64 bits name whoever is counted: an IPv4 address, or the first half of an IPv6 one. 2000::/3 and IPv4's
// upper half, which is 0, do not meet.
std::uint64_t key_of(const boost::asio::ip::address& address) {
  if (address.is_v4()) return address.to_v4().to_uint();
  const auto bytes = address.to_v6().to_bytes();
  std::uint64_t key = 0;
  for (std::size_t i = 0; i < 8; ++i) key = key << 8 | bytes[i];
  return key;
}

}  // namespace

void RateLimit::fill(Bucket& bucket, const Rate& rate, TimePoint now) {
  const std::chrono::duration<double> passed = now - bucket.filled;

  if (passed.count() > 0)
    bucket.tokens = std::min(rate.burst, bucket.tokens + passed.count() * rate.per_second);
  bucket.filled = now;
}

bool RateLimit::take(const boost::asio::ip::address& address, TimePoint now, SeededRandom& random) {
  fill(total_, all_, now);
  if (total_.tokens < 1) return false;
  const auto key = key_of(address);
  auto found = buckets_.find(key);
  if (found == buckets_.end()) {
    if (buckets_.size() >= kMostAddresses) make_room(now, random);
    found = buckets_.emplace(key, Bucket{each_.burst, now}).first;
  }
  fill(found->second, each_, now);
  if (found->second.tokens < 1) return false;
  found->second.tokens -= 1;
  total_.tokens -= 1;
  return true;
}

void RateLimit::make_room(TimePoint now, SeededRandom& random) {
  // Whose bucket is full again is nobody to remember.
  for (auto one = buckets_.begin(); one != buckets_.end();) {
    fill(one->second, each_, now);
    one = one->second.tokens >= each_.burst ? buckets_.erase(one) : std::next(one);
  }
  if (buckets_.size() < kMostAddresses) return;
  auto bucket = random.below(buckets_.bucket_count());
  while (buckets_.bucket_size(bucket) == 0) bucket = (bucket + 1) % buckets_.bucket_count();
  buckets_.erase(std::uint64_t{buckets_.begin(bucket)->first});
}

}  // namespace sixlink::mesh
