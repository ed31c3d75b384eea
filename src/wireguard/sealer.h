// SPDX-License-Identifier: BSD-3-Clause
// Transport data messages: encrypting and decrypting them (whitepaper section 5.4.6; RFC 8439). One Sealer
// and one Opener a thread: they hold the cipher's state and set the key only when it changes.
#pragma once

#include <openssl/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "src/wireguard/keypair.h"
#include "src/wireguard/protocol.h"

namespace sixlink::wireguard {

struct CipherDeleter {
  void operator()(EVP_CIPHER* cipher) const;
  void operator()(EVP_CIPHER_CTX* context) const;
  void operator()(EVP_MAC* mac) const;
  void operator()(EVP_MAC_CTX* context) const;
};

// ChaCha20-Poly1305 with one key after another, made of the two (sealer.cc says why). Throws
// std::runtime_error when OpenSSL lacks one of them.
class CipherState {
 public:
  CipherState();
  ~CipherState();
  CipherState(const CipherState&) = delete;
  CipherState& operator=(const CipherState&) = delete;
  // The key goes from this object too: after keys changed.
  void forget();

 protected:
  // The first blocks of the key stream for a text of `size` bytes: the authenticator's key, and what the
  // text's beginning is combined with. False: OpenSSL failed.
  bool begin(const Keypair& keypair, const SecretKey& key, std::uint64_t counter, std::size_t size);
  // Encrypts or decrypts, which is the same, once.
  bool combine(std::span<std::uint8_t> text);
  // The tag of an encrypted text. Behind it, `text` has room for another kTagSize bytes, which are
  // overwritten.
  bool authenticate(std::span<std::uint8_t> text, std::span<std::uint8_t, kTagSize> tag);

 private:
  void wipe();

  static constexpr std::size_t kBlock = 64;
  // OpenSSL computes so many bytes of the key stream at a time, whether they are needed or not.
  static constexpr std::size_t kAtOnce = 8 * kBlock;

  std::unique_ptr<EVP_CIPHER, CipherDeleter> cipher_;
  std::unique_ptr<EVP_CIPHER_CTX, CipherDeleter> context_;
  std::unique_ptr<EVP_MAC, CipherDeleter> mac_;
  std::unique_ptr<EVP_MAC_CTX, CipherDeleter> mac_context_;
  std::uint64_t serial_ = 0;  // the keypair whose key is set; 0: none
  alignas(kBlock) std::array<std::uint8_t, kAtOnce> stream_{};
  // Of a text that does not end with a block: the rest of its key stream, then a copy of what it was made.
  alignas(kBlock) std::array<std::uint8_t, 25 * kBlock> room_{};
};

class Sealer : private CipherState {
 public:
  using CipherState::forget;
  // `message` has room for kDataHeaderSize + padded + kTagSize bytes; the inner packet of `size` bytes lies
  // at message + kDataHeaderSize already, or is empty (a keepalive). Writes header, zeros up to `padded` (see
  // padded_size()) and tag around it, encrypts in place, and returns the message's size. 0: OpenSSL failed.
  std::size_t seal(const Keypair& keypair, std::uint64_t counter, std::uint8_t* message, std::size_t size,
                   std::size_t padded);
  // The same of an inner packet in several pieces, which are not changed and do not overlap `message`.
  std::size_t seal(const Keypair& keypair, std::uint64_t counter, std::span<const Bytes> pieces,
                   std::size_t padded, std::uint8_t* message);
};

class Opener : private CipherState {
 public:
  using CipherState::forget;
  // Decrypts a data message in place: the padded inner packet (empty: a keepalive), within `message`.
  // nullopt: not made with these keys, or no data message; then what `message` holds is of no use. The
  // receiver index is not looked at, the counter must still be accepted by the keypair's Window.
  std::optional<std::span<std::uint8_t>> open(const Keypair& keypair, std::span<std::uint8_t> message);
};

// What a data message says of itself. nullopt: shorter than an empty one, or of another type.
struct DataHeader {
  std::uint32_t receiver = 0;
  std::uint64_t counter = 0;

  static std::optional<DataHeader> parse(Bytes message);
};

// The inner packet without its padding. nullopt: neither IPv4 nor IPv6, or it says that it is longer.
std::optional<std::span<std::uint8_t>> without_padding(std::span<std::uint8_t> padded);

}  // namespace sixlink::wireguard
