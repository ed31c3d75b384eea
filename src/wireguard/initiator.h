// SPDX-License-Identifier: BSD-3-Clause
// Who a handshake initiation claims to be from, where several devices have the same key (a mesh node's links)
// and a message is for one of them: one DH operation instead of one for each.
#pragma once

#include <optional>

#include "src/wireguard/cookie.h"
#include "src/wireguard/crypto.h"
#include "src/wireguard/noise.h"

namespace sixlink::wireguard {

// For one thread.
class InitiatorReader {
 public:
  // Throws std::runtime_error when OpenSSL lacks an algorithm.
  explicit InitiatorReader(SecretKey private_key);

  // nullopt: no initiation, or not for our key. Whoever has that key has not shown it yet: that is for the
  // device to find out. Costs a DH operation where mac1 is right, which anybody can make who knows our
  // public key: the caller limits how often it asks.
  std::optional<PublicKey> read(Bytes datagram);

 private:
  Crypto crypto_;
  Identity own_;
  CookieChecker cookies_;
};

}  // namespace sixlink::wireguard
