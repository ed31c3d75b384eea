// SPDX-License-Identifier: BSD-3-Clause
// Who a handshake initiation claims to be from.
#include "src/wireguard/initiator.h"

#include <utility>

namespace sixlink::wireguard {
namespace {

Identity identity_of(Crypto& crypto, SecretKey private_key) {
  const auto public_key = crypto.public_key(private_key);
  return {std::move(private_key), public_key};
}

}  // namespace

InitiatorReader::InitiatorReader(SecretKey private_key)
    : own_(identity_of(crypto_, std::move(private_key))), cookies_(crypto_, own_.public_key) {}

std::optional<PublicKey> InitiatorReader::read(Bytes datagram) {
  if (classify(datagram) != MessageType::kInitiation) return std::nullopt;
  if (!cookies_.is_mac1_right(crypto_, datagram, Macs::read(datagram))) return std::nullopt;
  const auto handshake =
      ResponderHandshake::receive(crypto_, own_, Initiation::read(datagram.first<kInitiationSize>()));
  return handshake ? std::optional(handshake->public_key()) : std::nullopt;
}

}  // namespace sixlink::wireguard
