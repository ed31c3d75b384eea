// SPDX-License-Identifier: BSD-3-Clause
// Who issues the mesh's certificates: a self-signed certificate with the network's prefix (RFC 3779) and its
// key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "src/net/prefix.h"
#include "src/pki/certificate.h"
#include "src/pki/certificate_request.h"
#include "src/pki/private_key.h"

namespace sixlink::pki {

// Moves.
class Authority {
 public:
  // A new key. `name` is its CN. Throws std::runtime_error where OpenSSL cannot (built without RFC 3779).
  // Rolling over is making another one of the same network: as long as both are valid, TrustAnchor takes what
  // either issued.
  static Authority create(const net::Prefix& network, const std::string& name, const Validity& validity);
  // nullopt: no authority's certificate, or not this key's.
  static std::optional<Authority> make(Certificate certificate, PrivateKey key);

  const Certificate& certificate() const { return certificate_; }
  const PrivateKey& key() const { return key_; }

  // nullopt: the prefix is not inside of the network's, or all of it. The certificate does not outlive the
  // authority's. `serial` is not 0, and nobody else's: the caller counts.
  std::optional<Certificate> issue(const CertificateRequest& request, const net::Prefix& prefix,
                                   std::uint64_t serial, const Validity& validity) const;

 private:
  Authority(Certificate certificate, PrivateKey key)
      : certificate_(std::move(certificate)), key_(std::move(key)) {}

  Certificate certificate_;
  PrivateKey key_;
};

}  // namespace sixlink::pki
