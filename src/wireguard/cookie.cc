// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/cookie.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <string_view>

namespace sixlink::wireguard {
namespace {

constexpr std::string_view kLabelMac1 = "mac1----";
constexpr std::string_view kLabelCookie = "cookie--";
// A cookie that is about to go stale would only cost a round trip more.
constexpr std::chrono::seconds kLatency{5};

Hash key_from(Crypto& crypto, std::string_view label, const PublicKey& key) {
  return crypto.hash({Bytes(reinterpret_cast<const std::uint8_t*>(label.data()), label.size()), key});
}

bool is_equal(const Mac& a, const Mac& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

CookieChecker::CookieChecker(Crypto& crypto, const PublicKey& own)
    : mac1_key_(key_from(crypto, kLabelMac1, own)), cookie_key_(key_from(crypto, kLabelCookie, own)) {}

bool CookieChecker::is_mac1_right(Crypto& crypto, Bytes message, const Macs& macs) const {
  return is_equal(crypto.mac(mac1_key_, before_mac1(message)), macs.mac1);
}

Mac CookieChecker::cookie_for(Crypto& crypto, const boost::asio::ip::udp::endpoint& from, TimePoint now,
                              const RandomSource& random) {
  if (!secret_since_ || now - *secret_since_ >= kCookieLifetime) {
    random(secret_.writable());
    secret_since_ = now;
  }
  std::array<std::uint8_t, 18> place{};
  std::size_t size = 0;
  if (from.address().is_v4()) {
    const auto bytes = from.address().to_v4().to_bytes();
    size = bytes.size();
    std::copy(bytes.begin(), bytes.end(), place.begin());
  } else {
    const auto bytes = from.address().to_v6().to_bytes();
    size = bytes.size();
    std::copy(bytes.begin(), bytes.end(), place.begin());
  }
  place[size] = static_cast<std::uint8_t>(from.port() >> 8);
  place[size + 1] = static_cast<std::uint8_t>(from.port());
  return crypto.mac(secret_.reveal(), Bytes(place).first(size + 2));
}

bool CookieChecker::is_mac2_right(Crypto& crypto, Bytes message, const Macs& macs,
                                  const boost::asio::ip::udp::endpoint& from, TimePoint now,
                                  const RandomSource& random) {
  const auto cookie = cookie_for(crypto, from, now, random);
  return is_equal(crypto.mac(cookie, before_mac2(message)), macs.mac2);
}

CookieReply CookieChecker::reply(Crypto& crypto, std::uint32_t sender, const Macs& macs,
                                 const boost::asio::ip::udp::endpoint& from, TimePoint now,
                                 const RandomSource& random) {
  CookieReply result;
  result.receiver = sender;
  random(result.nonce);
  const auto cookie = cookie_for(crypto, from, now, random);
  crypto.xseal(cookie_key_, result.nonce, macs.mac1, cookie, result.sealed_cookie);
  return result;
}

void CookieHolder::write_macs(Crypto& crypto, const PublicKey& peer, std::span<std::uint8_t> message,
                              TimePoint now) {
  Macs macs;
  macs.mac1 = crypto.mac(key_from(crypto, kLabelMac1, peer), before_mac1(message));
  macs.write(message);
  if (cookie_since_ && now - *cookie_since_ < kCookieLifetime - kLatency) {
    macs.mac2 = crypto.mac(cookie_, before_mac2(message));
    macs.write(message);
  }
  last_mac1_ = macs.mac1;
  may_take_ = true;
}

bool CookieHolder::take(Crypto& crypto, const PublicKey& peer, const CookieReply& reply, TimePoint now) {
  if (!may_take_) return false;
  Mac cookie{};
  if (!crypto.xopen(key_from(crypto, kLabelCookie, peer), reply.nonce, last_mac1_, reply.sealed_cookie,
                    cookie))
    return false;
  cookie_ = cookie;
  cookie_since_ = now;
  may_take_ = false;
  return true;
}

}  // namespace sixlink::wireguard
