// SPDX-License-Identifier: BSD-3-Clause
// The broker's long-term key of PASSDSS-3DES-1: DSA over SHA-1 (FIPS 186-2), in the form of SSH's "ssh-dss"
// keys (RFC 4253 section 6.6), with the difference that an mpint is the plain magnitude, never with a leading
// zero.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/pki/secret.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace sixlink::tsp {

using Sha1 = std::array<std::uint8_t, 20>;

inline constexpr std::string_view kHostKeyType = "ssh-dss";

struct DsaSignature {
  std::string r;  // magnitudes: big-endian, no leading zero
  std::string s;
};

// What a broker signs with. Tests put in one that returns recorded signatures.
class HostKey {
 public:
  virtual ~HostKey() = default;
  // string "ssh-dss" | mpint p | mpint q | mpint g | mpint y
  virtual const std::string& blob() const = 0;
  // nullopt: OpenSSL failed.
  virtual std::optional<DsaSignature> sign(const Sha1& digest) const = 0;
};

class DsaHostKey final : public HostKey {
 public:
  // New parameters and a new key: some 50 ms. nullopt: OpenSSL failed.
  static std::unique_ptr<DsaHostKey> generate();
  // PKCS#8 in PEM, not encrypted. null: it is none, not DSA, or of a size that clients refuse.
  static std::unique_ptr<DsaHostKey> from_pem(std::string_view pem);
  pki::Secret to_pem() const;

  const std::string& blob() const override { return blob_; }
  std::optional<DsaSignature> sign(const Sha1& digest) const override;

 private:
  struct FreeKey {
    void operator()(evp_pkey_st* key) const;
  };
  using Key = std::unique_ptr<evp_pkey_st, FreeKey>;

  DsaHostKey(Key key, std::string blob) : key_(std::move(key)), blob_(std::move(blob)) {}
  static std::unique_ptr<DsaHostKey> adopt(Key key);

  Key key_;
  std::string blob_;
};

// Whether `blob` is a key that we use: nothing behind it, p of 1024 to 3072 bits and odd, q of 160, 224 or
// 256 bits and odd, 1 < g < p, 1 < y < p - 1, and the order of y divides q. Costs one exponentiation at most.
bool is_host_key(std::string_view blob);
// Whether the owner of `blob` signed `digest`. `blob` is checked first.
bool is_signed_by(std::string_view blob, const Sha1& digest, const DsaSignature& signature);
// "SHA256:...", in the form in which ssh-keygen -l shows keys.
std::string host_key_fingerprint(std::string_view blob);

}  // namespace sixlink::tsp
