// SPDX-License-Identifier: BSD-3-Clause
// What a node asks a certificate with: its public key and who it says it is (PKCS #10, RFC 2986).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct X509_req_st;

namespace sixlink::pki {

class PrivateKey;

// Fields of a subject by OpenSSL's short names, in order: {"CN", "router 7"}, {"O", "Example"}.
using Subject = std::vector<std::pair<std::string, std::string>>;

// Moves.
class CertificateRequest {
 public:
  static constexpr std::size_t kLargest = 8192;  // of PEM

  // `problem`, where it is nullopt: the field that cannot be in a subject, and why.
  static std::optional<CertificateRequest> make(const PrivateKey& key, const Subject& subject,
                                                std::string& problem);
  // nullopt: no request, no key on P-256, or not signed by it: whoever sends it has the key.
  static std::optional<CertificateRequest> parse_pem(std::string_view pem);

  std::string to_pem() const;
  std::string subject() const;  // one line, as Certificate::subject()

  // OpenSSL's, for the other files of this folder.
  X509_req_st* native() const { return request_.get(); }

 private:
  struct Free {
    void operator()(X509_req_st* request) const;
  };
  explicit CertificateRequest(X509_req_st* request) : request_(request) {}
  std::unique_ptr<X509_req_st, Free> request_;
};

}  // namespace sixlink::pki
