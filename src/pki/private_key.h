// SPDX-License-Identifier: BSD-3-Clause
// The key of a node or of the registry's authority: ECDSA on P-256 (FIPS 186-4, RFC 5480), and no other.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/pki/secret.h"

struct evp_pkey_st;

namespace sixlink::pki {

// Moves. OpenSSL wipes it when it goes.
class PrivateKey {
 public:
  // Throws std::runtime_error where OpenSSL cannot (a provider without P-256).
  static PrivateKey generate();
  // nullopt: no unencrypted PEM of a private key on P-256, or more than one thing.
  static std::optional<PrivateKey> parse(std::string_view pem);
  // PKCS #8 (RFC 5958).
  Secret to_pem() const;

  // OpenSSL's, for the other files of this folder.
  evp_pkey_st* native() const { return key_.get(); }

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  explicit PrivateKey(evp_pkey_st* key) : key_(key) {}
  std::unique_ptr<evp_pkey_st, Free> key_;
};

struct LoadedPrivateKey {
  std::optional<PrivateKey> key;  // or
  std::string problem;            // why not, and what to do
  bool is_new = false;
};
// Makes the file (0600) when there is none. What holds something else is never replaced: a certificate may
// have been issued to it.
LoadedPrivateKey load_or_make_private_key(const std::string& path);
// Never makes it.
LoadedPrivateKey load_private_key(const std::string& path);

}  // namespace sixlink::pki
