// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/keys.h"

#include <openssl/rand.h>

#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>

#include "src/wireguard/crypto.h"

namespace sixlink::wireguard {
namespace {

constexpr std::size_t kTextSize = 44;  // 32 bytes: 43 characters and one '='

// Without tables and branches on the value, which would show in the cache what the key is.
char character_of(unsigned sextet) {
  unsigned c = sextet + 'A';
  c += ((25 - sextet) >> 8 & 6);   // 26: 'a'
  c -= ((51 - sextet) >> 8 & 75);  // 52: '0'
  c -= ((61 - sextet) >> 8 & 15);  // 62: '+'
  c += ((62 - sextet) >> 8 & 3);   // 63: '/'
  return static_cast<char>(c);
}

// All ones when low <= c <= high, of small numbers.
unsigned within(unsigned c, unsigned low, unsigned high) {
  return ~((c - low) | (high - c)) >> 8 & 0xFFFFU;
}

// Its highest bits are set when `c` is no such character.
unsigned sextet_of(unsigned c) {
  unsigned sextet = 0x8000;
  const auto add = [&](unsigned low, unsigned high, unsigned first) {
    const unsigned mask = within(c, low, high);
    sextet = (sextet & ~mask) | ((c - low + first) & mask);
  };
  add('A', 'Z', 0);
  add('a', 'z', 26);
  add('0', '9', 52);
  add('+', '+', 62);
  add('/', '/', 63);
  return sextet;
}

void encode(std::span<const std::uint8_t, kKeySize> key, std::span<char, kTextSize> text) {
  for (std::size_t i = 0; i < kTextSize; i += 4) {
    const std::size_t at = i / 4 * 3;
    const auto byte = [&](std::size_t j) {
      return at + j < kKeySize ? static_cast<unsigned>(key[at + j]) : 0U;
    };
    const unsigned bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (std::size_t j = 0; j < 4; ++j) text[i + j] = character_of(bits >> (18 - 6 * j) & 63U);
  }
  text[kTextSize - 1] = '=';
}

bool decode(std::string_view text, std::span<std::uint8_t, kKeySize> key) {
  if (text.size() != kTextSize || text.back() != '=') return false;
  unsigned wrong = 0;
  for (std::size_t i = 0; i < kTextSize; i += 4) {
    unsigned bits = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const bool is_end = i + j == kTextSize - 1;
      const unsigned sextet = is_end ? 0 : sextet_of(static_cast<unsigned char>(text[i + j]));
      wrong |= sextet & 0x8000U;
      bits = bits << 6 | (sextet & 63U);
    }
    const std::size_t at = i / 4 * 3;
    for (std::size_t j = 0; j < 3; ++j) {
      if (at + j < kKeySize)
        key[at + j] = static_cast<std::uint8_t>(bits >> (16 - 8 * j));
      else
        wrong |= bits >> (16 - 8 * j) & 0xFFU;  // bits of the last character that belong to no byte
    }
  }
  return wrong == 0;
}

}  // namespace

SecretKey generate_preshared_key() {
  SecretKey key;
  if (RAND_priv_bytes(key.writable().data(), kKeySize) != 1)
    throw std::runtime_error("OpenSSL has no randomness to make a key of");
  return key;
}

SecretKey generate_private_key() {
  auto key = generate_preshared_key();
  clamp(key);
  return key;
}

PublicKey public_key_of(const SecretKey& private_key) {
  return Crypto().public_key(private_key);
}

std::string to_base64(const PublicKey& key) {
  std::array<char, kTextSize> text{};
  encode(key, text);
  return {text.begin(), text.end()};
}

pki::Secret to_base64(const SecretKey& key) {
  std::array<char, kTextSize> text{};
  encode(key.reveal(), text);
  pki::Secret secret(std::string_view(text.data(), text.size()));
  OPENSSL_cleanse(text.data(), text.size());
  return secret;
}

std::optional<PublicKey> parse_public_key(std::string_view text) {
  PublicKey key{};
  if (!decode(text, key)) return std::nullopt;
  return key;
}

std::optional<SecretKey> parse_secret_key(std::string_view text) {
  SecretKey key;
  if (!decode(text, key.writable())) return std::nullopt;
  return key;
}

}  // namespace sixlink::wireguard
