// SPDX-License-Identifier: BSD-3-Clause
// Bytes as the specifications print them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "src/wireguard/secret_key.h"

namespace sixlink::wireguard::test {

// Blanks between digits are for the reader.
inline std::vector<std::uint8_t> from_hex(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::vector<std::uint8_t> bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    const auto digit = kDigits.find(c);
    if (digit == std::string_view::npos) throw std::invalid_argument("no hex digit");
    if (high < 0) {
      high = static_cast<int>(digit);
    } else {
      bytes.push_back(static_cast<std::uint8_t>(high << 4 | static_cast<int>(digit)));
      high = -1;
    }
  }
  return bytes;
}

template <std::size_t kSize>
std::array<std::uint8_t, kSize> array_from_hex(std::string_view text) {
  const auto bytes = from_hex(text);
  if (bytes.size() != kSize) throw std::invalid_argument("another number of digits was meant");
  std::array<std::uint8_t, kSize> result{};
  std::copy(bytes.begin(), bytes.end(), result.begin());
  return result;
}

inline SecretKey key_from_hex(std::string_view text) {
  return SecretKey(array_from_hex<32>(text));
}

inline std::string to_hex(std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace sixlink::wireguard::test
