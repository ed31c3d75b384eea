// SPDX-License-Identifier: BSD-3-Clause
// Interface names of a driver and a number: tun3 is unit 3 of "tun".
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace sixlink::platform::posix {

// Numbers beyond this are no interface anyone has, and would not fit where systems keep them.
constexpr unsigned kLastUnit = 32767;
// How many names are tried for "the first free one".
constexpr unsigned kTriedUnits = 256;

inline std::optional<unsigned> unit_of(std::string_view name, std::string_view driver) {
  if (!name.starts_with(driver)) return std::nullopt;
  const auto digits = name.substr(driver.size());
  unsigned unit = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), unit);
  if (error != std::errc() || end != digits.data() + digits.size() || unit > kLastUnit) return std::nullopt;
  // "tun07" would be another name for the same interface.
  if (digits != std::to_string(unit)) return std::nullopt;
  return unit;
}

}  // namespace sixlink::platform::posix
