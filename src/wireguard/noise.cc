// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/noise.h"

#include <array>
#include <string_view>

namespace sixlink::wireguard {
namespace {

constexpr std::string_view kConstruction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
constexpr std::string_view kIdentifier = "WireGuard v1 zx2c4 Jason@zx2c4.com";

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Noise's symmetric state: the chaining key and the hash of all that was said.
struct Symmetric {
  Crypto& crypto;
  SecretKey& chaining_key;
  Hash& hash;

  void begin(const PublicKey& responder) {
    const auto first = crypto.hash({bytes_of(kConstruction)});
    chaining_key = SecretKey(first);
    hash = crypto.hash({first, bytes_of(kIdentifier)});
    mix_hash(responder);
  }
  void mix_hash(Bytes said) { hash = crypto.hash({hash, said}); }
  void mix_key(Bytes input) { crypto.kdf(chaining_key.reveal(), input, {&chaining_key}); }
  void mix_key(const SecretKey& input) { mix_key(input.reveal()); }
  void mix_key(const SecretKey& input, SecretKey& key) {
    crypto.kdf(chaining_key.reveal(), input.reveal(), {&chaining_key, &key});
  }
  void mix_preshared(const SecretKey& preshared, SecretKey& key) {
    SecretKey tau;
    crypto.kdf(chaining_key.reveal(), preshared.reveal(), {&chaining_key, &tau, &key});
    mix_hash(tau.reveal());
  }
  void seal(const SecretKey& key, Bytes text, std::span<std::uint8_t> sealed) {
    crypto.seal(key, 0, hash, text, sealed);
    mix_hash(sealed);
  }
  bool open(const SecretKey& key, Bytes sealed, std::span<std::uint8_t> text) {
    if (!crypto.open(key, 0, hash, sealed, text)) return false;
    mix_hash(sealed);
    return true;
  }
  // The initiator sends with the first.
  std::pair<SecretKey, SecretKey> split() {
    std::pair<SecretKey, SecretKey> keys;
    crypto.kdf(chaining_key.reveal(), {}, {&keys.first, &keys.second});
    return keys;
  }
};

}  // namespace

std::optional<InitiatorHandshake> InitiatorHandshake::start(Crypto& crypto, const Identity& own,
                                                            const NoisePeer& peer, const Timestamp& timestamp,
                                                            SecretKey ephemeral, Initiation& message) {
  InitiatorHandshake handshake;
  Symmetric state{crypto, handshake.chaining_key_, handshake.hash_};
  state.begin(peer.public_key);
  handshake.ephemeral_ = std::move(ephemeral);
  message.ephemeral = crypto.public_key(handshake.ephemeral_);
  state.mix_key(message.ephemeral);
  state.mix_hash(message.ephemeral);

  const auto shared = crypto.dh(handshake.ephemeral_, peer.public_key);
  if (!shared) return std::nullopt;
  SecretKey key;
  state.mix_key(*shared, key);
  state.seal(key, own.public_key, message.sealed_static);
  state.mix_key(peer.static_dh, key);
  state.seal(key, timestamp, message.sealed_timestamp);
  return handshake;
}

std::optional<TransportKeys> InitiatorHandshake::finish(Crypto& crypto, const Identity& own,
                                                        const NoisePeer& peer,
                                                        const Response& message) const {
  // On copies: who forges a response must not spoil the handshake.
  auto chaining_key = chaining_key_.duplicate();
  auto hash = hash_;
  Symmetric state{crypto, chaining_key, hash};
  state.mix_hash(message.ephemeral);
  state.mix_key(message.ephemeral);
  for (const auto* const secret : {&ephemeral_, &own.private_key}) {
    const auto shared = crypto.dh(*secret, message.ephemeral);
    if (!shared) return std::nullopt;
    state.mix_key(*shared);
  }
  SecretKey key;
  state.mix_preshared(peer.preshared_key, key);
  if (!state.open(key, message.sealed_nothing, {})) return std::nullopt;
  auto keys = state.split();
  return TransportKeys{std::move(keys.first), std::move(keys.second)};
}

std::optional<ResponderHandshake> ResponderHandshake::receive(Crypto& crypto, const Identity& own,
                                                              const Initiation& message) {
  ResponderHandshake handshake;
  Symmetric state{crypto, handshake.chaining_key_, handshake.hash_};
  state.begin(own.public_key);
  state.mix_key(message.ephemeral);
  state.mix_hash(message.ephemeral);
  handshake.ephemeral_ = message.ephemeral;
  const auto shared = crypto.dh(own.private_key, message.ephemeral);
  if (!shared) return std::nullopt;
  SecretKey key;
  state.mix_key(*shared, key);
  if (!state.open(key, message.sealed_static, handshake.public_key_)) return std::nullopt;
  return handshake;
}

std::optional<Timestamp> ResponderHandshake::authenticate(Crypto& crypto, const NoisePeer& peer,
                                                          const Initiation& message) {
  Symmetric state{crypto, chaining_key_, hash_};
  SecretKey key;
  state.mix_key(peer.static_dh, key);
  Timestamp timestamp{};
  if (!state.open(key, message.sealed_timestamp, timestamp)) return std::nullopt;
  return timestamp;
}

std::optional<TransportKeys> ResponderHandshake::respond(Crypto& crypto, const NoisePeer& peer,
                                                         SecretKey ephemeral, Response& message) {
  Symmetric state{crypto, chaining_key_, hash_};
  message.ephemeral = crypto.public_key(ephemeral);
  state.mix_hash(message.ephemeral);
  state.mix_key(message.ephemeral);
  const std::array<const PublicKey*, 2> initiators{&ephemeral_, &peer.public_key};
  for (const auto* const initiators_key : initiators) {
    const auto shared = crypto.dh(ephemeral, *initiators_key);
    if (!shared) return std::nullopt;
    state.mix_key(*shared);
  }
  SecretKey key;
  state.mix_preshared(peer.preshared_key, key);
  state.seal(key, {}, message.sealed_nothing);
  auto keys = state.split();
  return TransportKeys{std::move(keys.second), std::move(keys.first)};
}

}  // namespace sixlink::wireguard
