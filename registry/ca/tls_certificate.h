// SPDX-License-Identifier: BSD-3-Clause
// Certificates of the network's authority that are no node's: the registry's own for HTTPS, and
// administrators'. Neither has a prefix.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "registry/ca/authorities.h"

namespace sixlink::registry {

struct TlsIdentity {
  std::string certificate_pem;
  pki::Secret key_pem;
  std::string fingerprint;  // SHA-256 of the certificate's DER, 64 digits
  WallTime expires;
};

// For these hosts (names and addresses), with a new key. Throws std::runtime_error where OpenSSL cannot.
TlsIdentity make_server_identity(const pki::Authority& authority, const std::vector<std::string>& hosts,
                                 const pki::Validity& validity);
TlsIdentity make_administrator_identity(const pki::Authority& authority, const std::string& name,
                                        const pki::Validity& validity);

}  // namespace sixlink::registry
