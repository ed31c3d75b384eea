// SPDX-License-Identifier: BSD-3-Clause
// SASL PASSDSS-3DES-1 (draft-newman-sasl-passdss-01) as deployed TSP clients and servers speak it:
// Diffie-Hellman in Oakley group 2 (RFC 2409 section 6.2), signed by the broker's host key, carries the
// password under 3DES. Both sides, without I/O. string and mpint: src/tsp/mpint.h.
//
//   1. C: AUTHENTICATE PASSDSS-3DES-1
//   2. C: base64(string authzid = "" | string user | mpint X)
//   3. S: base64(uint32 keylen | key | mpint Y | octet ssecmask = 1 | 3 octets sbuflen = 0 | uint32 siglen |
//                string "ssh-dss" | mpint r | mpint s), CRLF
//         key = string "ssh-dss" | mpint p | mpint q | mpint g | mpint y, keylen octets
//         K = mpint of the shared secret; H0 = message 2's octets | message 3's octets as far as sbuflen
//         H = SHA1(H0 | K); (r, s) signs H
//   4. C: base64(3DES-CBC(octet csecmask = 1 | 3 octets 0 | string password | HMAC-SHA1(E, H0 | csecmask | 0
//   0 0)))
//         IV = the first 8 octets of SHA1(K | "A" | H), key = the first 24 of k1 | SHA1(K | k1) with
//         k1 = SHA1(K | "C" | H), E = SHA1(K | "E" | H); padding as in PKCS#5
//   5. S: 200 or 300
//
// Messages 2 and 4 have no end mark; the measure functions tell their size from their start.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "src/pki/secret.h"
#include "src/tsp/message.h"
#include "src/tsp/mpint.h"
#include "src/tsp/passdss_host_key.h"

namespace sixlink::tsp {

inline constexpr std::string_view kPassDss = "PASSDSS-3DES-1";

// Our own bounds.
inline constexpr std::size_t kLongestUser = 256;
inline constexpr std::size_t kLongestPassword = 1024;

// A private Diffie-Hellman exponent, big-endian, of a session. Throws std::runtime_error when OpenSSL has no
// randomness.
using MakeExponent = std::function<pki::Secret()>;
pki::Secret random_exponent();

// What both sides compute from the shared secret. Wiped when it goes.
class PassDssKeys {
 public:
  // `shared` is K's magnitude.
  PassDssKeys(const BIGNUM& shared, std::string_view h0);
  PassDssKeys(PassDssKeys&&) noexcept = default;
  PassDssKeys& operator=(PassDssKeys&&) noexcept = default;

  const Sha1& hash() const { return hash_; }  // H: public, it is signed
  std::string_view iv() const { return iv_.reveal(); }
  std::string_view key() const { return key_.reveal(); }
  // The HMAC that proves that password and negotiation belong together.
  std::string mac(std::string_view h0, std::string_view mask) const;

 private:
  Sha1 hash_{};
  pki::Secret iv_;
  pki::Secret key_;
  pki::Secret mac_key_;
};

//  hello() -> on_challenge() -> answer()
class PassDssClient {
 public:
  PassDssClient(std::string_view user, const pki::Secret& exponent);

  // Message 2.
  std::string hello() const;
  // Message 3. Empty: sound, and signed by host_key(); else what is wrong with it.
  [[nodiscard]] std::string_view on_challenge(std::string_view message);
  // Whose signature was right. Whether that is the broker's key is the caller's to find out before answer().
  const std::string& host_key() const { return host_key_; }
  // Message 4, after a sound challenge. `password` is of kLongestPassword at most.
  std::string answer(std::string_view password) const;

 private:
  std::string hello_;  // as it is hashed
  Number exponent_;
  std::string h0_;
  std::string host_key_;
  std::optional<PassDssKeys> keys_;
};

//  measure_hello() -> on_hello() -> measure_answer() -> on_answer()
class PassDssServer {
 public:
  // `key` outlives this object.
  PassDssServer(const HostKey& key, const pki::Secret& exponent);

  // Message 2 to 3; costs two exponentiations and a signature, so the caller counts it. nullopt: malformed,
  // or X out of range.
  [[nodiscard]] std::optional<std::string> on_hello(std::string_view message);
  const std::string& user() const { return user_; }
  // Message 4 to the password. nullopt: malformed, or made with another key.
  [[nodiscard]] std::optional<pki::Secret> on_answer(std::string_view message) const;

  static Extent measure_hello(std::string_view start);
  Extent measure_answer(std::string_view start) const;

 private:
  const HostKey& host_key_;
  Number exponent_;
  std::string user_;
  std::string h0_;
  std::optional<PassDssKeys> keys_;
};

}  // namespace sixlink::tsp
