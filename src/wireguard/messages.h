// SPDX-License-Identifier: BSD-3-Clause
// The messages on the wire (whitepaper sections 5.4.2 to 5.4.7), as bytes alone: nothing here is
// authenticated.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "src/wireguard/crypto.h"
#include "src/wireguard/protocol.h"

namespace sixlink::wireguard {

enum class MessageType : std::uint8_t { kInitiation = 1, kResponse = 2, kCookie = 3, kData = 4 };

inline constexpr std::size_t kInitiationSize = 148;
inline constexpr std::size_t kResponseSize = 92;
inline constexpr std::size_t kCookieSize = 64;

using Timestamp = std::array<std::uint8_t, 12>;  // TAI64N: compares as bytes

// mac1 and mac2, the last 32 bytes of initiations and responses.
struct Macs {
  static constexpr std::size_t kSize = 32;
  Mac mac1{};
  Mac mac2{};

  // `message`: one of those two, whole.
  static Macs read(Bytes message);
  void write(std::span<std::uint8_t> message) const;
};
// What mac1 and mac2 are made of.
inline Bytes before_mac1(Bytes message) {
  return message.first(message.size() - Macs::kSize);
}
inline Bytes before_mac2(Bytes message) {
  return message.first(message.size() - Macs::kSize / 2);
}

struct Initiation {
  std::uint32_t sender = 0;
  PublicKey ephemeral{};
  std::array<std::uint8_t, 32 + kTagSize> sealed_static{};
  std::array<std::uint8_t, 12 + kTagSize> sealed_timestamp{};

  static Initiation read(std::span<const std::uint8_t, kInitiationSize> message);
  // All but the macs.
  void write(std::span<std::uint8_t, kInitiationSize> message) const;
};

struct Response {
  std::uint32_t sender = 0;
  std::uint32_t receiver = 0;
  PublicKey ephemeral{};
  std::array<std::uint8_t, kTagSize> sealed_nothing{};

  static Response read(std::span<const std::uint8_t, kResponseSize> message);
  void write(std::span<std::uint8_t, kResponseSize> message) const;
};

struct CookieReply {
  std::uint32_t receiver = 0;
  Nonce24 nonce{};
  std::array<std::uint8_t, 16 + kTagSize> sealed_cookie{};

  static CookieReply read(std::span<const std::uint8_t, kCookieSize> message);
  void write(std::span<std::uint8_t, kCookieSize> message) const;
};

// nullopt: a first word that is no type (its three reserved bytes are zero), or a size that the type does not
// have.
std::optional<MessageType> classify(Bytes datagram);

// True when a datagram on a port that other protocols share is WireGuard's: the first byte is 1 to 4.
inline bool is_wireguard(Bytes datagram) {
  return datagram.size() >= kDataOverhead && datagram[0] >= 1 && datagram[0] <= 4;
}

}  // namespace sixlink::wireguard
