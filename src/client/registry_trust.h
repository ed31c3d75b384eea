// SPDX-License-Identifier: BSD-3-Clause
// Whether the server that shows these certificates is the registry: decided in the TLS handshake. See
// registry_api.h for the rule.
#pragma once

#include <string>
#include <vector>

#include "src/pki/certificate.h"
#include "src/pki/trust_anchor.h"

struct x509_store_ctx_st;

namespace sixlink::client {

// For one handshake at a time.
class RegistryTrust {
 public:
  // `url` is for messages; `host` what it names, without brackets.
  RegistryTrust(std::string url, std::string host, std::string ca_path, std::string fingerprint)
      : url_(std::move(url)),
        host_(std::move(host)),
        ca_path_(std::move(ca_path)),
        fingerprint_(std::move(fingerprint)) {}

  // Of the certificates in `context` (SSL_CTX_set_cert_verify_callback), which are hostile.
  bool accepts(x509_store_ctx_st* context, pki::WallTime now);

  // Why the last handshake was refused, and what to do. Empty: it was not.
  const std::string& problem() const { return problem_; }
  // The authorities that the server showed, whether they are believed or not.
  const std::vector<pki::Certificate>& shown() const { return shown_; }

 private:
  std::string verdict(x509_store_ctx_st* context, pki::WallTime now);

  std::string url_;
  std::string host_;
  std::string ca_path_;
  std::string fingerprint_;
  std::string problem_;
  std::vector<pki::Certificate> shown_;
};

}  // namespace sixlink::client
