// SPDX-License-Identifier: BSD-3-Clause
// mac1, mac2 and cookies: what an initiator must show before a busy responder does any costly work for it
// (whitepaper sections 5.3, 5.4.4 and 5.4.7).
#pragma once

#include <boost/asio/ip/udp.hpp>
#include <functional>
#include <optional>

#include "src/wireguard/crypto.h"
#include "src/wireguard/messages.h"

namespace sixlink::wireguard {

using RandomSource = std::function<void(std::span<std::uint8_t>)>;

// The side that receives initiations and responses.
class CookieChecker {
 public:
  // `own`: the public key that messages to us are made for.
  CookieChecker(Crypto& crypto, const PublicKey& own);

  // True: made by someone who knows our public key.
  bool is_mac1_right(Crypto& crypto, Bytes message, const Macs& macs) const;
  // True: the sender got a cookie at this address and port.
  bool is_mac2_right(Crypto& crypto, Bytes message, const Macs& macs,
                     const boost::asio::ip::udp::endpoint& from, TimePoint now, const RandomSource& random);
  // `sender`: the index that the message to be answered names.
  CookieReply reply(Crypto& crypto, std::uint32_t sender, const Macs& macs,
                    const boost::asio::ip::udp::endpoint& from, TimePoint now, const RandomSource& random);

 private:
  Mac cookie_for(Crypto& crypto, const boost::asio::ip::udp::endpoint& from, TimePoint now,
                 const RandomSource& random);

  Hash mac1_key_{};
  Hash cookie_key_{};
  // Cookies are made of it and the sender's address; it changes every kCookieLifetime. No state per sender.
  SecretKey secret_;
  std::optional<TimePoint> secret_since_;
};

// The side that sends them, for one peer.
class CookieHolder {
 public:
  // Writes both macs at the message's end; mac2 is zeros without a cookie.
  void write_macs(Crypto& crypto, const PublicKey& peer, std::span<std::uint8_t> message, TimePoint now);
  // False: forged, or not an answer to our last message.
  bool take(Crypto& crypto, const PublicKey& peer, const CookieReply& reply, TimePoint now);

 private:
  Mac last_mac1_{};
  Mac cookie_{};
  std::optional<TimePoint> cookie_since_;
  bool may_take_ = false;  // one reply for each message
};

}  // namespace sixlink::wireguard
