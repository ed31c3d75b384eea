// SPDX-License-Identifier: BSD-3-Clause
// Numbers as WireGuard writes them: little-endian, not aligned. The caller has checked the bounds.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace sixlink::wireguard {

template <std::unsigned_integral T>
T load_le(const std::uint8_t* from) {
  T value = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&value, from, sizeof value);
  } else {
    for (std::size_t i = sizeof value; i-- > 0;) value = static_cast<T>(value << 8 | from[i]);
  }
  return value;
}

template <std::unsigned_integral T>
void store_le(std::uint8_t* to, T value) {
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(to, &value, sizeof value);
  } else {
    for (std::size_t i = 0; i < sizeof value; ++i) to[i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

}  // namespace sixlink::wireguard
