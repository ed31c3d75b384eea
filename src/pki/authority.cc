// SPDX-License-Identifier: BSD-3-Clause
#include "src/pki/authority.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "platform/platform.h"
#include "src/pki/address_block.h"
#include "src/pki/openssl_types.h"

namespace sixlink::pki {
namespace {

// RFC 5280 section 4.2.1. A node's certificate signs contacts and serves TLS on both ends; the authority's
// signs certificates and the network's parameters, and has no authorities below it.
struct Extension {
  int nid;
  const char* value;
};
constexpr Extension kOfAuthority[] = {
    {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
    {NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign"},
    {NID_subject_key_identifier, "hash"},
};
constexpr Extension kOfNode[] = {
    {NID_basic_constraints, "critical,CA:FALSE"},   {NID_key_usage, "critical,digitalSignature"},
    {NID_ext_key_usage, "serverAuth,clientAuth"},   {NID_subject_key_identifier, "hash"},
    {NID_authority_key_identifier, "keyid:always"},
};

bool set_serial(X509* certificate, std::uint64_t serial) {
  return ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial) == 1;
}

bool set_time(ASN1_TIME* time, WallTime value) {
  return ASN1_TIME_set(time, std::chrono::system_clock::to_time_t(value)) != nullptr;
}

template <std::size_t kCount>
bool add_extensions(X509* certificate, X509* issuer, const Extension (&extensions)[kCount],
                    const net::Prefix& prefix) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509V3_set_ctx_nodb(&context);
  for (const auto& extension : extensions) {
    const ExtensionPtr made(X509V3_EXT_conf_nid(nullptr, &context, extension.nid, extension.value));
    if (!made || X509_add_ext(certificate, made.get(), -1) != 1) return false;
  }
  const auto block = make_address_block(prefix);
  return block && X509_add_ext(certificate, block.get(), -1) == 1;
}

bool prepare(X509* certificate, std::uint64_t serial, const Validity& validity, EVP_PKEY* key) {
  return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate, serial) &&
         set_time(X509_getm_notBefore(certificate), validity.from) &&
         set_time(X509_getm_notAfter(certificate), validity.until) && X509_set_pubkey(certificate, key) == 1;
}

// As asked for. A certificate without any is none that others take (RFC 5280 section 4.1.2.6): its prefix
// names it.
bool set_subject(X509* x509, const X509_NAME* asked, const net::Prefix& prefix) {
  if (X509_NAME_entry_count(asked) > 0) return X509_set_subject_name(x509, asked) == 1;
  const X509NamePtr subject(X509_NAME_new());
  const auto text = prefix.to_string();
  return subject &&
         X509_NAME_add_entry_by_txt(subject.get(), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1 &&
         X509_set_subject_name(x509, subject.get()) == 1;
}

}  // namespace

Authority Authority::create(const net::Prefix& network, const std::string& name, const Validity& validity) {
  const ErrorScope errors;
  auto key = PrivateKey::generate();
  X509Ptr x509(X509_new());
  std::uint64_t serial = 0;
  while (serial == 0) serial = platform::random_number();
  const X509NamePtr subject(X509_NAME_new());
  const auto* text = reinterpret_cast<const unsigned char*>(name.data());
  if (!x509 || !subject ||
      X509_NAME_add_entry_by_txt(subject.get(), "CN", MBSTRING_UTF8, text, static_cast<int>(name.size()), -1,
                                 0) != 1)
    throw std::runtime_error("the name \"" + name +
                             "\" cannot be that of an authority: it is empty or longer than 64 characters");
  if (!prepare(x509.get(), serial, validity, key.native()) ||
      X509_set_subject_name(x509.get(), subject.get()) != 1 ||
      X509_set_issuer_name(x509.get(), subject.get()) != 1 ||
      !add_extensions(x509.get(), x509.get(), kOfAuthority, network) ||
      X509_sign(x509.get(), key.native(), EVP_sha256()) == 0)
    throw std::runtime_error(
        "OpenSSL cannot make an authority's certificate with IP address blocks (RFC 3779)");
  auto certificate = Certificate::adopt(x509.release());
  if (!certificate) throw std::runtime_error("OpenSSL made an authority's certificate that cannot be read");
  return {*std::move(certificate), std::move(key)};
}

std::optional<Authority> Authority::make(Certificate certificate, PrivateKey key) {
  if (!certificate.is_authority() || !certificate.has_key_of(key)) return std::nullopt;
  return Authority(std::move(certificate), std::move(key));
}

std::optional<Certificate> Authority::issue(const CertificateRequest& request, const net::Prefix& prefix,
                                            std::uint64_t serial, const Validity& validity) const {
  const auto& network = certificate_.prefix();
  if (serial == 0 || !network.contains(prefix) || prefix == network) return std::nullopt;
  const ErrorScope errors;
  const Validity both{std::max(validity.from, certificate_.not_before()),
                      std::min(validity.until, certificate_.not_after())};
  X509Ptr x509(X509_new());
  if (!x509 || !prepare(x509.get(), serial, both, X509_REQ_get0_pubkey(request.native())) ||
      !set_subject(x509.get(), X509_REQ_get_subject_name(request.native()), prefix) ||
      X509_set_issuer_name(x509.get(), X509_get_subject_name(certificate_.native())) != 1 ||
      !add_extensions(x509.get(), certificate_.native(), kOfNode, prefix) ||
      X509_sign(x509.get(), key_.native(), EVP_sha256()) == 0)
    return std::nullopt;
  return Certificate::adopt(x509.release());
}

}  // namespace sixlink::pki
