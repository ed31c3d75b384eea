// SPDX-License-Identifier: BSD-3-Clause
// Keys of 32 bytes: public ones are plain values; secret ones are wiped when they go, are never copied by
// accident and cannot be printed.
#pragma once

#include <openssl/crypto.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <span>

namespace sixlink::wireguard {

inline constexpr std::size_t kKeySize = 32;

using PublicKey = std::array<std::uint8_t, kKeySize>;

class SecretKey {
 public:
  SecretKey() = default;
  // Copies `bytes`; the caller wipes its own copy.
  explicit SecretKey(std::span<const std::uint8_t, kKeySize> bytes) {
    std::memcpy(bytes_.data(), bytes.data(), kKeySize);
  }
  // The source is wiped: a key has one owner.
  SecretKey(SecretKey&& other) noexcept : bytes_(other.bytes_) { other.wipe(); }
  SecretKey& operator=(SecretKey&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      other.wipe();
    }
    return *this;
  }
  SecretKey(const SecretKey&) = delete;
  SecretKey& operator=(const SecretKey&) = delete;
  ~SecretKey() { wipe(); }

  // Valid until this object moves or ends.
  std::span<const std::uint8_t, kKeySize> reveal() const { return bytes_; }
  // To be filled by what makes a key.
  std::span<std::uint8_t, kKeySize> writable() { return bytes_; }
  // Needed where two owners must hold the same key; says so at the call.
  SecretKey duplicate() const { return SecretKey(bytes_); }
  // In constant time.
  bool is_zero() const {
    std::uint8_t bits = 0;
    for (const auto byte : bytes_) bits = static_cast<std::uint8_t>(bits | byte);
    return bits == 0;
  }

  void wipe() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

 private:
  std::array<std::uint8_t, kKeySize> bytes_{};
};

}  // namespace sixlink::wireguard
