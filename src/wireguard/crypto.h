// SPDX-License-Identifier: BSD-3-Clause
// The primitives of the handshake (whitepaper section 5.4): BLAKE2s (RFC 7693), HMAC and HKDF over it, X25519
// (RFC 7748), ChaCha20-Poly1305 (RFC 8439) and XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), through OpenSSL.
#pragma once

#include <openssl/types.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>

#include "src/wireguard/protocol.h"
#include "src/wireguard/secret_key.h"

namespace sixlink::wireguard {

using Hash = std::array<std::uint8_t, 32>;
using Mac = std::array<std::uint8_t, 16>;
using Nonce24 = std::array<std::uint8_t, 24>;

// What OpenSSL has to look up by name is looked up once. For one thread. Throws std::runtime_error in
// construction when something is missing; later failures, which only memory can be the reason of, throw too.
class Crypto {
 public:
  Crypto();
  ~Crypto();
  Crypto(const Crypto&) = delete;
  Crypto& operator=(const Crypto&) = delete;

  Hash hash(std::initializer_list<Bytes> parts);
  Hash hmac(std::span<const std::uint8_t> key, std::initializer_list<Bytes> parts);
  // Keyed BLAKE2s with 16 bytes of output. `key`: up to 32 bytes.
  Mac mac(Bytes key, Bytes input);

  // HKDF: the results that are asked for are written, in order. `chaining_key` may be the first of them.
  void kdf(std::span<const std::uint8_t, 32> chaining_key, Bytes input,
           std::initializer_list<SecretKey*> outputs);

  PublicKey public_key(const SecretKey& private_key);
  // nullopt: the peer's key is of low order, so the result would be zeros, known to all.
  std::optional<SecretKey> dh(const SecretKey& private_key, const PublicKey& public_key);

  // `output` has room for the text and a tag of 16 bytes.
  void seal(const SecretKey& key, std::uint64_t counter, Bytes associated, Bytes text,
            std::span<std::uint8_t> output);
  // `sealed` ends with the tag; `output` has room for the rest. False: forged.
  [[nodiscard]] bool open(const SecretKey& key, std::uint64_t counter, Bytes associated, Bytes sealed,
                          std::span<std::uint8_t> output);
  void xseal(std::span<const std::uint8_t, 32> key, const Nonce24& nonce, Bytes associated, Bytes text,
             std::span<std::uint8_t> output);
  [[nodiscard]] bool xopen(std::span<const std::uint8_t, 32> key, const Nonce24& nonce, Bytes associated,
                           Bytes sealed, std::span<std::uint8_t> output);
  // The key that XChaCha20 makes of its key and the first 16 bytes of its nonce (the draft's section 2.2).
  SecretKey hchacha20(std::span<const std::uint8_t, 32> key, std::span<const std::uint8_t, 16> nonce);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// True: a public key whose Diffie-Hellman results are zeros whatever the private one is; there are seven of
// them (RFC 7748 section 6.1), and those with the unused highest bit set.
bool is_low_order(const PublicKey& key);

// A private key as X25519 uses it (RFC 7748 section 5), which is how `wg genkey` writes one.
void clamp(SecretKey& key);

}  // namespace sixlink::wireguard
