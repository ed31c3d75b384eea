// SPDX-License-Identifier: BSD-3-Clause
// X.509 certificates of the mesh (RFC 5280): a node's has its prefix, the authority's the network's, as IP
// address blocks (RFC 3779).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/net/prefix.h"

struct x509_st;

namespace sixlink::pki {

class PrivateKey;

using WallTime = std::chrono::system_clock::time_point;

struct Validity {
  WallTime from;
  WallTime until;
};

// Immutable; copies share it. What is parsed has a key on P-256, a version of 3 and exactly one IPv6 prefix,
// and is at most kLargest bytes long; nothing is said about who signed it: TrustAnchor::verify().
class Certificate {
 public:
  static constexpr std::size_t kLargest = 4096;  // of DER

  static std::optional<Certificate> parse(std::span<const std::uint8_t> der);
  // The first certificate of the text; nothing else may stand in it.
  static std::optional<Certificate> parse_pem(std::string_view pem);
  // One behind the other, as in a file of several authorities. Empty: one of them is not good, or more than
  // `most`.
  static std::vector<Certificate> parse_all_pem(std::string_view pem, std::size_t most);

  std::vector<std::uint8_t> to_der() const;
  std::string to_pem() const;

  const net::Prefix& prefix() const;
  // Lower-case hexadecimal digits, without leading zeros in pairs: "0a3f".
  const std::string& serial() const;
  WallTime not_before() const;
  WallTime not_after() const;
  bool is_authority() const;
  // "sha256:" and 64 digits: of the whole certificate.
  const std::string& fingerprint() const;
  // One line (RFC 4514): "CN=router 7,O=Example".
  const std::string& subject() const;
  bool has_key_of(const PrivateKey& key) const;

  // The same certificate, byte for byte.
  friend bool operator==(const Certificate& a, const Certificate& b) {
    return a.fingerprint() == b.fingerprint();
  }

  // OpenSSL's, for the other files of this folder.
  x509_st* native() const;
  // Takes it. nullopt as with parse().
  static std::optional<Certificate> adopt(x509_st* certificate);

 private:
  struct Contents;
  explicit Certificate(std::shared_ptr<const Contents> contents) : contents_(std::move(contents)) {}
  std::shared_ptr<const Contents> contents_;
};

}  // namespace sixlink::pki
