// SPDX-License-Identifier: BSD-3-Clause
#include "src/pki/certificate_request.h"

#include <openssl/pem.h>

#include "src/pki/openssl_types.h"
#include "src/pki/private_key.h"

namespace sixlink::pki {
namespace {

constexpr std::size_t kMostFields = 16;

bool add_fields(X509_NAME* name, const Subject& subject, std::string& problem) {
  if (subject.size() > kMostFields) {
    problem = "a subject has at most " + std::to_string(kMostFields) + " fields";
    return false;
  }
  for (const auto& [key, value] : subject) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(value.data());
    // Lengths are RFC 5280's (appendix A.1), which OpenSSL checks by the field.
    if (OBJ_txt2nid(key.c_str()) == NID_undef) {
      problem =
          key +
          ": no field of a subject; there are CN, O, OU, C, ST, L, serialNumber, emailAddress and others";
      return false;
    }
    if (value.empty() || X509_NAME_add_entry_by_txt(name, key.c_str(), MBSTRING_UTF8, bytes,
                                                    static_cast<int>(value.size()), -1, 0) != 1) {
      problem = key + ": the value is empty, too long or of characters that the field does not have";
      return false;
    }
  }
  return true;
}

}  // namespace

void CertificateRequest::Free::operator()(X509_req_st* request) const {
  X509_REQ_free(request);
}

std::optional<CertificateRequest> CertificateRequest::make(const PrivateKey& key, const Subject& subject,
                                                           std::string& problem) {
  const ErrorScope errors;
  CertificateRequest request(X509_REQ_new());
  if (!request.native()) return std::nullopt;
  if (!add_fields(X509_REQ_get_subject_name(request.native()), subject, problem)) return std::nullopt;
  if (X509_REQ_set_version(request.native(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.native(), key.native()) != 1 ||
      X509_REQ_sign(request.native(), key.native(), EVP_sha256()) == 0) {
    problem = "OpenSSL cannot sign the request";
    return std::nullopt;
  }
  return request;
}

std::optional<CertificateRequest> CertificateRequest::parse_pem(std::string_view pem) {
  if (pem.size() > kLargest) return std::nullopt;
  const ErrorScope errors;
  const auto bio = read_only(pem);
  if (!bio) return std::nullopt;
  CertificateRequest request(PEM_read_bio_X509_REQ(bio.get(), nullptr, refuse_password, nullptr));
  if (!request.native() || contents(bio).find_first_not_of(" \t\r\n") != std::string_view::npos)
    return std::nullopt;
  auto* const key = X509_REQ_get0_pubkey(request.native());
  if (!is_on_p256(key) || X509_REQ_verify(request.native(), key) != 1) return std::nullopt;
  return request;
}

std::string CertificateRequest::to_pem() const {
  const ErrorScope errors;
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509_REQ(bio.get(), native()) != 1) return {};
  return std::string(contents(bio));
}

std::string CertificateRequest::subject() const {
  const ErrorScope errors;
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || X509_NAME_print_ex(bio.get(), X509_REQ_get_subject_name(native()), 0, XN_FLAG_RFC2253) < 0)
    return {};
  return std::string(contents(bio));
}

}  // namespace sixlink::pki
