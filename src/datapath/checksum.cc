// SPDX-License-Identifier: BSD-3-Clause
// Sums of 16-bit words, wide.
//
// 32-bit words are added to 64-bit lanes, which run over only after 2^32 of them: no carries to follow, and
// four or eight words at once. Vectors are the compiler's (GCC and Clang have them on every processor).
#include "src/datapath/checksum.h"

namespace sixlink::datapath {
namespace {

using Words = std::uint64_t __attribute__((vector_size(32)));

// Runs are summed block by block of this many bytes.
constexpr std::size_t kBlock = 64;

inline PartialSum add_lanes(const Words& low, const Words& high) {
  const Words lanes = low + high;
  // Each below 2^49 for the runs that packets are: no carry.
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

// What is left of a run behind its last block.
inline PartialSum sum_tail(const std::uint8_t* bytes, std::size_t size) {
  PartialSum total = 0;
  while (size >= 4) {
    std::uint32_t word;
    std::memcpy(&word, bytes, sizeof word);
    total += word;
    bytes += 4;
    size -= 4;
  }
  if (size >= 2) {
    std::uint16_t word;
    std::memcpy(&word, bytes, sizeof word);
    total += word;
    bytes += 2;
    size -= 2;
  }
  if (size != 0) total += word_sum(static_cast<std::uint16_t>(*bytes << 8));
  return total;
}

template <bool is_copied>
[[gnu::always_inline]] inline PartialSum sum_run(std::uint8_t* to, const std::uint8_t* bytes,
                                                 std::size_t size) {
  Words low{};
  Words high{};
  Words low2{};
  Words high2{};
  for (; size >= kBlock; size -= kBlock) {
    Words first;
    Words second;
    std::memcpy(&first, bytes, sizeof first);
    std::memcpy(&second, bytes + sizeof first, sizeof second);
    if constexpr (is_copied) {
      std::memcpy(to, &first, sizeof first);
      std::memcpy(to + sizeof first, &second, sizeof second);
      to += kBlock;
    }
    low += first & 0xffffffff;
    high += first >> 32;
    low2 += second & 0xffffffff;
    high2 += second >> 32;
    bytes += kBlock;
  }
  if constexpr (is_copied) std::memcpy(to, bytes, size);
  return add_lanes(low + low2, high + high2) + sum_tail(bytes, size);
}

using Summer = PartialSum (*)(std::uint8_t* to, const std::uint8_t* bytes, std::size_t size);

PartialSum sum_anywhere(std::uint8_t*, const std::uint8_t* bytes, std::size_t size) {
  return sum_run<false>(nullptr, bytes, size);
}
PartialSum copy_anywhere(std::uint8_t* to, const std::uint8_t* bytes, std::size_t size) {
  return sum_run<true>(to, bytes, size);
}

#if defined(__x86_64__)
// A vector is one register here.
[[gnu::target("avx2")]] PartialSum sum_avx2(std::uint8_t*, const std::uint8_t* bytes, std::size_t size) {
  return sum_run<false>(nullptr, bytes, size);
}
[[gnu::target("avx2")]] PartialSum copy_avx2(std::uint8_t* to, const std::uint8_t* bytes, std::size_t size) {
  return sum_run<true>(to, bytes, size);
}
bool has_wide_vectors() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0;
}
const Summer kSum = has_wide_vectors() ? sum_avx2 : sum_anywhere;
const Summer kCopy = has_wide_vectors() ? copy_avx2 : copy_anywhere;
#else
constexpr Summer kSum = sum_anywhere;
constexpr Summer kCopy = copy_anywhere;
#endif

}  // namespace

PartialSum sum_bytes(const std::uint8_t* bytes, std::size_t size, PartialSum total) {
  return add_sums(total, size < kBlock ? sum_tail(bytes, size) : kSum(nullptr, bytes, size));
}

PartialSum copy_and_sum(std::uint8_t* to, const std::uint8_t* bytes, std::size_t size, PartialSum total) {
  return add_sums(total, kCopy(to, bytes, size));
}

PartialSum pseudo_header_sum(const std::uint8_t* packet, std::uint8_t protocol, std::size_t length) {
  const bool is_v4 = packet[0] >> 4 == 4;
  const PartialSum addresses = sum_tail(packet + (is_v4 ? 12 : 8), is_v4 ? 8 : 32);
  return addresses + word_sum(protocol) + word_sum(static_cast<std::uint16_t>(length)) +
         word_sum(static_cast<std::uint16_t>(length >> 16));
}

}  // namespace sixlink::datapath
