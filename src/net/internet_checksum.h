// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
#pragma once

#include <cstdint>
#include <span>

namespace sixlink::net {

// Adds up 16-bit words; an odd byte at the end counts as the first of a word. `total` is what was added
// before; up to 64 KiB fit.
std::uint32_t add_words(std::span<const std::uint8_t> bytes, std::uint32_t total = 0);

// The checksum of what was added up.
std::uint16_t finish_checksum(std::uint32_t total);

// A checksum after one word beneath it has changed (RFC 1624 equation 3).
std::uint16_t update_checksum(std::uint16_t checksum, std::uint16_t before, std::uint16_t after);

}  // namespace sixlink::net
