// SPDX-License-Identifier: BSD-3-Clause
// RFC 5280, RFC 9110 section 4.3.4 (names are looked for among the alternative ones).
#include "registry/ca/tls_certificate.h"

#include <openssl/pem.h>

#include <stdexcept>

#include "registry/ca/key_hash.h"
#include "src/net/server_address.h"
#include "src/pki/openssl_types.h"

namespace sixlink::registry {
namespace {

using pki::Bio;
using pki::ErrorScope;
using pki::ExtensionPtr;
using pki::X509Ptr;

[[noreturn]] void cannot(const std::string& name) {
  throw std::runtime_error("OpenSSL cannot make a certificate for " + name);
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509V3_set_ctx_nodb(&context);
  const ExtensionPtr made(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return made && X509_add_ext(certificate, made.get(), -1) == 1;
}

std::string alternative_names(const std::vector<std::string>& hosts) {
  std::string text;
  for (const auto& host : hosts) {
    const auto server =
        net::ServerAddress::parse(host.find(':') == std::string::npos ? host : "[" + host + "]");
    const bool is_address = server && server->is_literal();
    text += std::string(text.empty() ? "" : ",") + (is_address ? "IP:" : "DNS:") + host;
  }
  return text;
}

TlsIdentity make(const pki::Authority& authority, const std::string& name, const std::string& names,
                 const char* purpose, const pki::Validity& validity) {
  const ErrorScope errors;
  auto key = pki::PrivateKey::generate();
  const auto& ca = authority.certificate();
  const X509Ptr x509(X509_new());
  const auto* text = reinterpret_cast<const unsigned char*>(name.data());
  const auto until = std::min(validity.until, ca.not_after());
  const auto from = std::max(validity.from, ca.not_before());
  const auto clock = [](WallTime time) { return std::chrono::system_clock::to_time_t(time); };
  auto* const certificate = x509.get();
  if (!certificate || X509_set_version(certificate, X509_VERSION_3) != 1 ||
      ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), make_serial()) != 1 ||
      !ASN1_TIME_set(X509_getm_notBefore(certificate), clock(from)) ||
      !ASN1_TIME_set(X509_getm_notAfter(certificate), clock(until)) ||
      X509_set_pubkey(certificate, key.native()) != 1 ||
      X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, text,
                                 static_cast<int>(name.size()), -1, 0) != 1 ||
      X509_set_issuer_name(certificate, X509_get_subject_name(ca.native())) != 1 ||
      !add_extension(certificate, ca.native(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(certificate, ca.native(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(certificate, ca.native(), NID_ext_key_usage, purpose) ||
      !add_extension(certificate, ca.native(), NID_subject_key_identifier, "hash") ||
      !add_extension(certificate, ca.native(), NID_authority_key_identifier, "keyid:always") ||
      (!names.empty() && !add_extension(certificate, ca.native(), NID_subject_alt_name, names)) ||
      X509_sign(certificate, authority.key().native(), EVP_sha256()) == 0)
    cannot(name);
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1) cannot(name);
  std::string der(static_cast<std::size_t>(std::max(0, i2d_X509(certificate, nullptr))), '\0');
  auto* to = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(certificate, &to);
  return {std::string(pki::contents(bio)), key.to_pem(), sha256_text(der), until};
}

}  // namespace

TlsIdentity make_server_identity(const pki::Authority& authority, const std::vector<std::string>& hosts,
                                 const pki::Validity& validity) {
  // The CN is 64 characters at most, and is not what clients look at.
  return make(authority, "sixlink-registry", alternative_names(hosts), "serverAuth", validity);
}

TlsIdentity make_administrator_identity(const pki::Authority& authority, const std::string& name,
                                        const pki::Validity& validity) {
  return make(authority, name, {}, "clientAuth", validity);
}

}  // namespace sixlink::registry
