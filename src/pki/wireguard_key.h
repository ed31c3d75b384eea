// SPDX-License-Identifier: BSD-3-Clause
// WireGuard's keys outside of the protocol: a public key and its text, and a machine's key pair in a file, as
// `wg genkey` and `wg pubkey` have them (X25519, RFC 7748; base64, RFC 4648 section 4).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/pki/secret.h"

namespace sixlink::pki {

struct WireguardKey {
  static constexpr std::size_t kSize = 32;
  static constexpr std::size_t kTextSize = 44;
  std::array<std::uint8_t, kSize> bytes{};

  // nullopt: not exactly the base64 of 32 bytes, or the zero key, which is nobody's.
  static std::optional<WireguardKey> parse(std::string_view text);
  // nullopt: not 32 bytes, or the zero key.
  static std::optional<WireguardKey> from_bytes(std::string_view bytes);
  std::string to_string() const;  // 44 characters

  friend bool operator==(const WireguardKey&, const WireguardKey&) = default;
  // NOLINTNEXTLINE(modernize-use-nullptr): there is none
  friend auto operator<=>(const WireguardKey&, const WireguardKey&) = default;
};

// Moves, wipes itself.
class WireguardKeyPair {
 public:
  // nullopt: OpenSSL has no X25519.
  static std::optional<WireguardKeyPair> generate();
  // Of the private key's base64, as `wg genkey` writes it, with a line end or without.
  static std::optional<WireguardKeyPair> parse(std::string_view text);

  const WireguardKey& public_key() const { return public_; }
  // 32 bytes.
  std::string_view private_bytes() const { return private_.reveal(); }
  // 44 characters of base64.
  Secret private_text() const;

 private:
  WireguardKeyPair() = default;
  static std::optional<WireguardKeyPair> from_private(Secret bytes);

  Secret private_;
  WireguardKey public_;
};

struct LoadedWireguardKey {
  std::optional<WireguardKeyPair> pair;  // or
  std::string problem;                   // why not, and what to do
  bool is_new = false;
};
// Makes the file (0600) when there is none. What holds something else is never replaced: the other ends know
// the key.
LoadedWireguardKey load_or_make_wireguard_key(const std::string& path);
// Never makes it.
LoadedWireguardKey load_wireguard_key(const std::string& path);

}  // namespace sixlink::pki
