// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum (RFC 1071), fast: sums of 64 bits in the machine's byte order, which a checksum may
// be added up in (section 2(B)). src/net/internet_checksum.h is the plain one.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

namespace sixlink::datapath {

// A sum in ones' complement that is not folded yet, of 16-bit words in the machine's byte order.
using PartialSum = std::uint64_t;

// `a + b` in ones' complement.
constexpr PartialSum add_sums(PartialSum a, PartialSum b) {
  const PartialSum total = a + b;
  return total + (total < a ? 1 : 0);
}

// `a - b`: what is left when the words of `b` are taken out of `a`.
constexpr PartialSum subtract_sums(PartialSum a, PartialSum b) {
  return add_sums(a, ~b);
}

// The sum of a run of bytes that begins at an even distance from where the sum began; an odd byte at its end
// counts as the first of a word. Any size and alignment.
PartialSum sum_bytes(const std::uint8_t* bytes, std::size_t size, PartialSum total = 0);
inline PartialSum sum_bytes(std::span<const std::uint8_t> bytes, PartialSum total = 0) {
  return sum_bytes(bytes.data(), bytes.size(), total);
}

// sum_bytes() of `bytes` while they are copied to `to`, which they must not overlap.
PartialSum copy_and_sum(std::uint8_t* to, const std::uint8_t* bytes, std::size_t size, PartialSum total = 0);

// To 16 bits, in the machine's byte order. 0 only if everything added was 0.
constexpr std::uint16_t fold_sum(PartialSum total) {
  total = (total >> 32) + (total & 0xffffffff);
  total = (total >> 32) + (total & 0xffffffff);
  total = (total >> 16) + (total & 0xffff);
  total = (total >> 16) + (total & 0xffff);
  return static_cast<std::uint16_t>(total);
}

// Sums of bytes that begin at an odd distance count with their bytes swapped.
constexpr PartialSum swap_sum(PartialSum total) {
  const std::uint16_t folded = fold_sum(total);
  return static_cast<std::uint16_t>(folded << 8 | folded >> 8);
}

// A number as a word of a packet: in network byte order, to be added.
constexpr PartialSum word_sum(std::uint16_t value) {
  if constexpr (std::endian::native == std::endian::little)
    return static_cast<std::uint16_t>(value << 8 | value >> 8);
  return value;
}

// Writes a checksum or an unfinished one into a packet: `folded` is in the machine's byte order already.
inline void store_sum(std::uint8_t* at, std::uint16_t folded) {
  std::memcpy(at, &folded, sizeof folded);
}
// The checksum of what was added up. UDP's 0, which means none, has to be made 0xffff by the caller.
inline void store_checksum(std::uint8_t* at, PartialSum total) {
  store_sum(at, static_cast<std::uint16_t>(~fold_sum(total)));
}

// The pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1) of a packet whose fixed header is there.
// `length` is of the upper layer, header included.
PartialSum pseudo_header_sum(const std::uint8_t* packet, std::uint8_t protocol, std::size_t length);

// Whether a sum that the checksum field is part of says that the data are right.
constexpr bool is_right_sum(PartialSum total) {
  return fold_sum(total) == 0xffff;
}

}  // namespace sixlink::datapath
