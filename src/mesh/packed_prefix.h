// SPDX-License-Identifier: BSD-3-Clause
// A prefix in 17 bytes, as a key: a node may know ten thousand.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>

#include "src/net/prefix.h"

namespace sixlink::mesh {

struct PackedPrefix {
  std::array<std::uint8_t, 16> address{};
  std::uint8_t length = 0;

  PackedPrefix() = default;
  explicit PackedPrefix(const net::Prefix& prefix)
      : address(prefix.address.to_bytes()), length(static_cast<std::uint8_t>(prefix.length)) {}
  net::Prefix unpacked() const { return {net::AddressV6(address), length}; }

  friend bool operator==(const PackedPrefix&, const PackedPrefix&) = default;
  // NOLINTNEXTLINE(modernize-use-nullptr): there is none
  friend auto operator<=>(const PackedPrefix&, const PackedPrefix&) = default;
};

// For unordered maps. Prefixes are what the registry gave out, nobody can choose many that collide.
struct PackedPrefixHash {
  std::size_t operator()(const PackedPrefix& prefix) const {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::memcpy(&high, prefix.address.data(), 8);
    std::memcpy(&low, prefix.address.data() + 8, 8);
    auto mixed = (high ^ (low << 1) ^ prefix.length) * 0x9e3779b97f4a7c15;
    return static_cast<std::size_t>(mixed ^ (mixed >> 32));
  }
};

// The address that a node with that prefix has.
inline net::AddressV6 node_address(const net::Prefix& prefix) {
  auto bytes = prefix.address.to_bytes();
  bytes[15] = 1;
  return net::AddressV6(bytes);
}

}  // namespace sixlink::mesh
