// SPDX-License-Identifier: BSD-3-Clause
// A node's randomness: repeatable from its seed, small, and not to be foretold from what it gave (its numbers
// are nonces on the wire). SipHash-2-4 of a counter ("SipHash: a fast short-input PRF", Aumasson and
// Bernstein, 2012).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <span>

namespace sixlink::mesh {

struct SipKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};
std::uint64_t siphash(const SipKey& key, std::span<const std::uint8_t> bytes);

// A standard uniform random bit generator.
class SeededRandom {
 public:
  using result_type = std::uint64_t;
  explicit SeededRandom(std::uint64_t seed);

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  result_type operator()();

  // 0 to n - 1; n is not 0.
  std::size_t below(std::size_t n);
  // Between low and high times `duration`.
  std::chrono::nanoseconds jitter(std::chrono::nanoseconds duration, double low, double high);
  // For something else than numbers in a row.
  SipKey make_key() { return {(*this)(), (*this)()}; }

 private:
  SipKey key_;
  std::uint64_t counter_ = 0;
};

}  // namespace sixlink::mesh
