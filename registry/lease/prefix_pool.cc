// SPDX-License-Identifier: BSD-3-Clause
// Hands out prefixes of any length from a larger one, buddy-wise.
#include "registry/lease/prefix_pool.h"

namespace sixlink::registry {
namespace {

// The block of the same length that makes a larger one together with this.
net::AddressV6 buddy(const net::AddressV6& address, int length) {
  auto bytes = address.to_bytes();
  const int bit = length - 1;
  bytes[static_cast<std::size_t>(bit / 8)] ^= static_cast<unsigned char>(0x80 >> (bit % 8));
  return net::AddressV6(bytes);
}

}  // namespace

PrefixPool::PrefixPool(const net::Prefix& whole, int longest) : whole_(whole), longest_(longest) {
  const int levels = whole.length > longest ? 0 : longest - whole.length + 1;
  free_.resize(static_cast<std::size_t>(levels));
  taken_.resize(static_cast<std::size_t>(levels));
  if (levels > 0) free_.front().insert(whole.address);
}

bool PrefixPool::is_served(const net::Prefix& prefix) const {
  return prefix.length <= longest_ && whole_.contains(prefix);
}

std::size_t PrefixPool::level(int length) const {
  return static_cast<std::size_t>(length - whole_.length);
}

std::optional<int> PrefixPool::free_block_around(const net::Prefix& prefix) const {
  for (int length = prefix.length; length >= whole_.length; --length) {
    if (free_[level(length)].contains(net::mask(prefix.address, length))) return length;
  }
  return std::nullopt;
}

void PrefixPool::take(const net::Prefix& prefix, int from) {
  free_[level(from)].erase(net::mask(prefix.address, from));
  for (int length = from; length < prefix.length; ++length) {
    const auto half = net::mask(prefix.address, length + 1);
    free_[level(length + 1)].insert(buddy(half, length + 1));
  }
  taken_[level(prefix.length)].insert(prefix.address);
}

std::optional<net::Prefix> PrefixPool::allocate(int length) {
  if (length < whole_.length || length > longest_) return std::nullopt;
  for (int from = length; from >= whole_.length; --from) {
    if (free_[level(from)].empty()) continue;
    const net::Prefix prefix{*free_[level(from)].begin(), length};
    take(prefix, from);
    return prefix;
  }
  return std::nullopt;
}

bool PrefixPool::reserve(const net::Prefix& prefix) {
  if (!is_served(prefix)) return false;
  const auto from = free_block_around(prefix);
  if (!from) return false;
  take(prefix, *from);
  return true;
}

bool PrefixPool::release(const net::Prefix& prefix) {
  if (!is_served(prefix) || taken_[level(prefix.length)].erase(prefix.address) == 0) return false;
  net::AddressV6 block = prefix.address;
  int length = prefix.length;
  while (length > whole_.length && free_[level(length)].erase(buddy(block, length)) == 1) {
    --length;
    block = net::mask(block, length);
  }
  free_[level(length)].insert(block);
  return true;
}

bool PrefixPool::is_free(const net::Prefix& prefix) const {
  // Free halves are always merged, so a wholly free prefix lies in one free block.
  return is_served(prefix) && free_block_around(prefix).has_value();
}

}  // namespace sixlink::registry
