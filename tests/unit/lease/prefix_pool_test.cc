// SPDX-License-Identifier: BSD-3-Clause
#include "registry/lease/prefix_pool.h"

#include <doctest/doctest.h>

#include <bitset>
#include <random>
#include <set>
#include <vector>

using sixlink::net::Prefix;
using sixlink::registry::PrefixPool;

namespace {

Prefix prefix(const char* text) {
  return Prefix::parse(text).value();
}

// The slow, obvious pool: one bit for each /64 of a /52, and the list of what was taken.
class BitmapPool {
 public:
  static constexpr int kLength = 52;
  static constexpr int kBlocks = 1 << (64 - kLength);

  explicit BitmapPool(const Prefix& whole) : whole_(whole) {}

  std::optional<Prefix> allocate(int length) {
    if (length < kLength || length > 64) return std::nullopt;
    const int size = 1 << (64 - length);
    // The lowest address in the smallest maximal free block that suffices.
    for (int block = size; block <= kBlocks; block *= 2) {
      for (int start = 0; start < kBlocks; start += block) {
        if (is_free(start, block) &&
            (block == kBlocks || !is_free(start / (2 * block) * 2 * block, 2 * block))) {
          return take(start, length);
        }
      }
    }
    return std::nullopt;
  }
  bool reserve(int start, int length) {
    if (!is_free(start, 1 << (64 - length))) return false;
    take(start, length);
    return true;
  }
  bool release(int start, int length) {
    if (taken_.erase({start, length}) == 0) return false;
    for (int i = 0; i < 1 << (64 - length); ++i) used_[static_cast<std::size_t>(start + i)] = false;
    return true;
  }
  bool is_free(int start, int count) const {
    for (int i = 0; i < count; ++i) {
      if (used_[static_cast<std::size_t>(start + i)]) return false;
    }
    return true;
  }
  Prefix block(int start, int length) const {
    auto bytes = whole_.address.to_bytes();
    bytes[6] = static_cast<unsigned char>(bytes[6] | start >> 8);
    bytes[7] = static_cast<unsigned char>(start);
    return Prefix::make(sixlink::net::AddressV6(bytes), length).value();
  }
  const std::set<std::pair<int, int>>& taken() const { return taken_; }

 private:
  Prefix take(int start, int length) {
    for (int i = 0; i < 1 << (64 - length); ++i) used_[static_cast<std::size_t>(start + i)] = true;
    taken_.insert({start, length});
    return block(start, length);
  }

  Prefix whole_;
  std::bitset<kBlocks> used_;
  std::set<std::pair<int, int>> taken_;
};

}  // namespace

TEST_CASE("prefix pool: gives the lowest block of the smallest size that suffices") {
  PrefixPool pool(prefix("2001:db8:42::/48"));
  CHECK(pool.reserve(prefix("2001:db8:42::/64")));
  CHECK(pool.allocate(64) == prefix("2001:db8:42:1::/64"));
  CHECK(pool.allocate(56) == prefix("2001:db8:42:100::/56"));
  CHECK(pool.allocate(64) == prefix("2001:db8:42:2::/64"));
  CHECK(pool.allocate(49) == prefix("2001:db8:42:8000::/49"));
  CHECK(pool.allocate(49) == std::nullopt);
  CHECK(pool.allocate(50) == prefix("2001:db8:42:4000::/50"));
}

TEST_CASE("prefix pool: refuses lengths it does not have") {
  PrefixPool pool(prefix("2001:db8:42::/48"));
  CHECK_FALSE(pool.allocate(47));
  CHECK_FALSE(pool.allocate(65));
  CHECK_FALSE(pool.allocate(-1));
  CHECK_FALSE(pool.allocate(1000));
  CHECK_FALSE(pool.reserve(prefix("2001:db8:42::/65")));
  CHECK_FALSE(pool.reserve(prefix("2001:db8:43::/64")));
  CHECK_FALSE(pool.reserve(prefix("2001:db8::/32")));
  CHECK_FALSE(pool.is_free(prefix("2001:db8::/32")));
  CHECK_FALSE(pool.release(prefix("::/0")));
  CHECK(pool.is_free(pool.whole()));
}

TEST_CASE("prefix pool: a pool of one /64, and one too small") {
  PrefixPool one(prefix("2001:db8:42:7::/64"));
  CHECK(one.allocate(64) == prefix("2001:db8:42:7::/64"));
  CHECK_FALSE(one.allocate(64));
  CHECK(one.release(prefix("2001:db8:42:7::/64")));
  CHECK(one.allocate(64));
  PrefixPool none(prefix("2001:db8:42:7::/65"));
  CHECK_FALSE(none.allocate(64));
  CHECK_FALSE(none.allocate(65));
  CHECK_FALSE(none.reserve(prefix("2001:db8:42:7::/65")));
}

TEST_CASE("prefix pool: gives back only what was taken, as that block") {
  PrefixPool pool(prefix("2001:db8:42::/48"));
  REQUIRE(pool.allocate(56) == prefix("2001:db8:42::/56"));
  CHECK_FALSE(pool.release(prefix("2001:db8:42::/57")));
  CHECK_FALSE(pool.release(prefix("2001:db8:42::/55")));
  CHECK_FALSE(pool.release(prefix("2001:db8:42:100::/56")));
  CHECK(pool.release(prefix("2001:db8:42::/56")));
  CHECK_FALSE(pool.release(prefix("2001:db8:42::/56")));
  CHECK(pool.is_free(pool.whole()));
}

TEST_CASE("prefix pool: works at byte and group borders of a /32") {
  PrefixPool pool(prefix("2001:db8::/32"));
  for (int length = 33; length <= 64; ++length) {
    const auto block = pool.allocate(length);
    REQUIRE(block);
    CHECK(block->length == length);
    CHECK(pool.whole().contains(*block));
  }
  CHECK(pool.allocate(64));
  CHECK_FALSE(pool.allocate(64));
}

TEST_CASE("prefix pool: does what a bitmap of all /64 does, over random operations") {
  const Prefix whole = prefix("2001:db8:42:7000::/52");
  PrefixPool pool(whole);
  BitmapPool oracle(whole);
  std::mt19937 random(20240601);
  const auto below = [&](int bound) { return std::uniform_int_distribution<>(0, bound - 1)(random); };
  // Long and short lengths in turn, so that the pool is nearly empty and nearly full at times.
  for (int step = 0; step < 40000; ++step) {
    const bool filling = step / 2000 % 2 == 0;
    const int length = below(3) == 0 ? 52 + below(13) : 60 + below(5);
    const int start = below(1 << (length - 52)) << (64 - length);
    const int choice = below(10);
    if (choice < (filling ? 5 : 2)) {
      REQUIRE(pool.allocate(length) == oracle.allocate(length));
    } else if (choice < (filling ? 6 : 3)) {
      REQUIRE(pool.reserve(oracle.block(start, length)) == oracle.reserve(start, length));
    } else if (choice < 9 && !oracle.taken().empty()) {
      auto victim = oracle.taken().begin();
      std::advance(victim, below(static_cast<int>(oracle.taken().size())));
      const auto [at, taken_length] = *victim;
      REQUIRE(oracle.release(at, taken_length));
      REQUIRE(pool.release(oracle.block(at, taken_length)));
    } else {
      REQUIRE(pool.release(oracle.block(start, length)) == oracle.release(start, length));
    }
    REQUIRE(pool.is_free(oracle.block(start, length)) == oracle.is_free(start, 1 << (64 - length)));
  }
  const auto rest = oracle.taken();
  for (const auto& [at, length] : rest) REQUIRE(pool.release(oracle.block(at, length)));
  CHECK(pool.is_free(whole));
}
