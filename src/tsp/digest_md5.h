// SPDX-License-Identifier: BSD-3-Clause
// SASL DIGEST-MD5 (RFC 2831) as deployed TSP clients and servers speak it: qop auth, algorithm md5-sess, one
// round. Both sides, without I/O; nonces come from the caller so that recorded sessions can be replayed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/pki/secret.h"

namespace sixlink::tsp {

using Md5 = std::array<std::uint8_t, 16>;

std::string base64_encode(std::string_view bytes);
// nullopt: not base64 with padding. Line ends and NULs at the end are ignored.
std::optional<std::string> base64_decode(std::string_view text);

// H({ username ":" realm ":" password }), RFC 2831 section 2.1.2.1. The registry keeps this, not the
// password.
Md5 digest_ha1(std::string_view user, std::string_view realm, std::string_view password);

struct DigestChallenge {
  std::string realm;
  std::string nonce;

  // realm="..",nonce="..",qop="auth",algorithm=md5-sess,charset=utf-8: deployed clients need exactly this,
  // commas without spaces. `realm` and `nonce` hold no quote or backslash.
  std::string to_string() const;
  // The plain text (after base64). nullopt: malformed, no nonce, or neither qop=auth nor md5-sess offered.
  static std::optional<DigestChallenge> parse(std::string_view text);
};

struct DigestResponse {
  std::string user;
  std::string realm;
  std::string nonce;
  std::string cnonce;
  std::string nonce_count;  // 8 hexadecimal digits
  std::string digest_uri;   // "tsp/broker.example.net"
  std::string response;     // 32 hexadecimal digits

  std::string to_string() const;
  static std::optional<DigestResponse> parse(std::string_view text);
};

// RFC 2831 section 2.1.2.1 (response) and 2.1.3 (rspauth).
std::string digest_response_value(const Md5& ha1, const DigestResponse& fields);
std::string digest_rspauth_value(const Md5& ha1, const DigestResponse& fields);

// The client's answer to a challenge. `cnonce` is decimal digits, as deployed clients send it.
DigestResponse answer_challenge(const DigestChallenge& challenge, std::string_view user,
                                std::string_view password, std::string_view digest_uri,
                                std::string_view cnonce);

}  // namespace sixlink::tsp
