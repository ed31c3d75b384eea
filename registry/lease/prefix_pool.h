// SPDX-License-Identifier: BSD-3-Clause
// Hands out prefixes of any length from a larger one, buddy-wise: a free block is split in halves until it
// fits, and halves that are both free again are merged. Used for delegated prefixes.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <vector>

#include "src/net/prefix.h"

namespace sixlink::registry {

class PrefixPool {
 public:
  // All of `whole` is free. Lengths up to `longest` are handed out; a longer `whole` has nothing.
  explicit PrefixPool(const net::Prefix& whole, int longest = 64);

  // The lowest free block of the smallest sufficient size, so that large blocks stay whole. nullopt: nothing
  // of that length is left, or `length` is shorter than the pool's or over the longest.
  std::optional<net::Prefix> allocate(int length);
  // Takes a given block out (a lease loaded from the store, the tunnel addresses' /64). false: not wholly
  // free.
  bool reserve(const net::Prefix& prefix);
  // Gives back what allocate or reserve took out; merges. false: it was not taken out as that block (nothing
  // changes).
  bool release(const net::Prefix& prefix);

  bool is_free(const net::Prefix& prefix) const;
  const net::Prefix& whole() const { return whole_; }

 private:
  bool is_served(const net::Prefix& prefix) const;
  std::size_t level(int length) const;
  // Length of the free block that holds all of `prefix`.
  std::optional<int> free_block_around(const net::Prefix& prefix) const;
  // Splits the free block of length `from` around `prefix` down to it.
  void take(const net::Prefix& prefix, int from);

  net::Prefix whole_;
  int longest_;
  // Free blocks by length, each ordered by address; and the taken ones.
  std::vector<std::set<net::AddressV6>> free_;  // index: length - whole_.length
  std::vector<std::set<net::AddressV6>> taken_;
};

}  // namespace sixlink::registry
