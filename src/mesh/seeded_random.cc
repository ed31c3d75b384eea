// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/seeded_random.h"

#include <bit>

namespace sixlink::mesh {
namespace {

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void take(std::uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

}  // namespace

std::uint64_t siphash(const SipKey& key, std::span<const std::uint8_t> bytes) {
  // "somepseudorandomlygeneratedbytes"
  SipState state{key.k0 ^ 0x736f6d6570736575, key.k1 ^ 0x646f72616e646f6d, key.k0 ^ 0x6c7967656e657261,
                 key.k1 ^ 0x7465646279746573};
  std::uint64_t word = 0;
  std::size_t at = 0;
  for (; at < bytes.size(); ++at) {
    word |= static_cast<std::uint64_t>(bytes[at]) << (8 * (at % 8));
    if (at % 8 == 7) {
      state.take(word);
      word = 0;
    }
  }
  state.take(word | static_cast<std::uint64_t>(bytes.size()) << 56);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

SeededRandom::SeededRandom(std::uint64_t seed) : key_{seed, 0x7369786c696e6b21} {}

std::uint64_t SeededRandom::operator()() {
  std::array<std::uint8_t, 8> bytes;
  const auto counter = counter_++;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(counter >> (8 * i));
  return siphash(key_, bytes);
}

std::size_t SeededRandom::below(std::size_t n) {
  // A bias of n / 2^64 does not matter to anybody here.
  return static_cast<std::size_t>((*this)() % n);
}

std::chrono::nanoseconds SeededRandom::jitter(std::chrono::nanoseconds duration, double low, double high) {
  const double unit = static_cast<double>((*this)() >> 11) * 0x1.0p-53;
  const double factor = low + (high - low) * unit;
  return std::chrono::nanoseconds(
      static_cast<std::chrono::nanoseconds::rep>(static_cast<double>(duration.count()) * factor));
}

}  // namespace sixlink::mesh
