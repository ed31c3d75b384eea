// SPDX-License-Identifier: BSD-3-Clause
// The handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (whitepaper sections 5.4.1 to 5.4.5; The Noise Protocol
// Framework, revision 34). What the messages' fields hold; macs, indices and timers are others' work.
#pragma once

#include <optional>
#include <utility>

#include "src/wireguard/crypto.h"
#include "src/wireguard/messages.h"

namespace sixlink::wireguard {

struct Identity {
  SecretKey private_key;
  PublicKey public_key{};
};

// What both sides know of each other beforehand. Borrowed.
struct NoisePeer {
  const PublicKey& public_key;
  const SecretKey& preshared_key;  // zeros: none
  const SecretKey& static_dh;      // of the two static keys
};

struct TransportKeys {
  SecretKey send;
  SecretKey receive;
};

// The initiator's, between its message and the answer.
class InitiatorHandshake {
 public:
  // Writes `message.ephemeral`, `sealed_static` and `sealed_timestamp`. `ephemeral` is used up. nullopt: the
  // peer's public key is of low order.
  static std::optional<InitiatorHandshake> start(Crypto& crypto, const Identity& own, const NoisePeer& peer,
                                                 const Timestamp& timestamp, SecretKey ephemeral,
                                                 Initiation& message);
  // nullopt: forged, or meant for another handshake. This one may go on then: the right response may still
  // come.
  std::optional<TransportKeys> finish(Crypto& crypto, const Identity& own, const NoisePeer& peer,
                                      const Response& message) const;

 private:
  SecretKey chaining_key_;
  Hash hash_{};
  SecretKey ephemeral_;
};

// The responder's, while it answers.
class ResponderHandshake {
 public:
  // Reads who sends: one DH operation. The peer is then to be looked up by public_key().
  static std::optional<ResponderHandshake> receive(Crypto& crypto, const Identity& own,
                                                   const Initiation& message);
  const PublicKey& public_key() const { return public_key_; }
  // nullopt: the sender does not have the private key of public_key().
  std::optional<Timestamp> authenticate(Crypto& crypto, const NoisePeer& peer, const Initiation& message);
  // Writes `message.ephemeral` and `sealed_nothing`. nullopt: a key is of low order.
  std::optional<TransportKeys> respond(Crypto& crypto, const NoisePeer& peer, SecretKey ephemeral,
                                       Response& message);

 private:
  SecretKey chaining_key_;
  Hash hash_{};
  PublicKey public_key_{};
  PublicKey ephemeral_{};  // the initiator's
};

}  // namespace sixlink::wireguard
