// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum.
#include "src/net/internet_checksum.h"

#include "src/net/big_endian.h"

namespace sixlink::net {

std::uint32_t add_words(std::span<const std::uint8_t> bytes, std::uint32_t total) {
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) total += get16(bytes, i);
  if (bytes.size() % 2 != 0) total += static_cast<std::uint32_t>(bytes.back()) << 8;
  return total;
}

std::uint16_t finish_checksum(std::uint32_t total) {
  while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
  return static_cast<std::uint16_t>(~total);
}

std::uint16_t update_checksum(std::uint16_t checksum, std::uint16_t before, std::uint16_t after) {
  const auto complement = [](std::uint16_t word) { return static_cast<std::uint16_t>(~word); };
  return finish_checksum(static_cast<std::uint32_t>(complement(checksum)) + complement(before) + after);
}

}  // namespace sixlink::net
