// SPDX-License-Identifier: BSD-3-Clause
// TLS by OpenSSL.
#include "src/pki/tls_session.h"

#include <openssl/ssl.h>

#include <array>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string_view>

#include "src/pki/openssl_types.h"
#include "src/pki/private_key.h"

namespace sixlink::pki {
namespace {

// AES with 128 bits first: the fastest where the processor knows it, and enough around WireGuard.
constexpr const char* kCiphers = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
// Of what a server shows: ours takes less than a tenth of it.
constexpr long kLargestCertificates = 8192;
constexpr std::size_t kReadAhead = 32768;
constexpr long kBackdate = 86400L;  // clocks differ
constexpr long kValidity = 10 * 365 * 86400L;

// One name with its length before it.
constexpr std::array<unsigned char, 8> kProtocols{7, 's', 'i', 'x', 'l', 'i', 'n', 'k'};
static_assert(std::string_view(TlsContext::kProtocol).size() + 1 == kProtocols.size());

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(std::string("TLS cannot be used: OpenSSL cannot ") + what);
}

// Whoever looks at it learns nothing: a new key and a new number each time.
X509Ptr make_certificate(EVP_PKEY* key) {
  X509Ptr certificate(X509_new());
  const auto is_made = [&] {
    auto* name = X509_get_subject_name(certificate.get());
    const auto* text = reinterpret_cast<const unsigned char*>("localhost");
    return X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()),
                                   static_cast<std::uint64_t>(std::time(nullptr))) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kBackdate) &&
           X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kValidity) &&
           X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC, text, -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate.get(), name) == 1 &&
           X509_set_pubkey(certificate.get(), key) == 1 &&
           X509_sign(certificate.get(), key, EVP_sha256()) > 0;
  };
  if (!certificate || !is_made()) fail("make a certificate");
  return certificate;
}

int select_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, chosen_size, kProtocols.data(), kProtocols.size(), offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

TlsContext::TlsContext() : context_(SSL_CTX_new(TLS_method())) {
  const ErrorScope errors;
  if (!context_) fail("make a context");
  try {
    const auto key = PrivateKey::generate();
    const auto certificate = make_certificate(key.native());
    if (SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context_, kCiphers) != 1 ||
        SSL_CTX_use_certificate(context_, certificate.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context_, key.native()) != 1 ||
        SSL_CTX_set_alpn_protos(context_, kProtocols.data(), kProtocols.size()) != 0) {
      fail("set it up");
    }
  } catch (...) {
    SSL_CTX_free(context_);
    throw;
  }
  SSL_CTX_set_alpn_select_cb(context_, select_protocol, nullptr);
  SSL_CTX_set_verify(context_, SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_max_cert_list(context_, kLargestCertificates);
  // No session is ever resumed.
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context_, 0);
  SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
  // Several records a system call.
  SSL_CTX_set_read_ahead(context_, 1);
  SSL_CTX_set_default_read_buffer_len(context_, kReadAhead);
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

void TlsSession::Free::operator()(ssl_st* session) const {
  SSL_free(session);
}

TlsSession::TlsSession(const TlsContext& context, int socket, bool is_client)
    : session_(SSL_new(context.native())) {
  if (!session_ || SSL_set_fd(session_.get(), socket) != 1) fail("make a session");
  if (is_client) {
    SSL_set_connect_state(session_.get());
  } else {
    SSL_set_accept_state(session_.get());
  }
}

TlsSession::~TlsSession() = default;

TlsSession::Status TlsSession::status_of(int result) const {
  switch (SSL_get_error(session_.get(), result)) {
    case SSL_ERROR_NONE:
      return Status::kDone;
    case SSL_ERROR_WANT_READ:
      return Status::kWantsRead;
    case SSL_ERROR_WANT_WRITE:
      return Status::kWantsWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Status::kClosed;
    default:
      return Status::kFailed;
  }
}

TlsSession::Status TlsSession::handshake() {
  const ErrorScope errors;
  const auto status = status_of(SSL_do_handshake(session_.get()));
  is_broken_ = status == Status::kFailed;
  if (status != Status::kDone) return status;
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(session_.get(), &protocol, &size);
  const std::string_view name(reinterpret_cast<const char*>(protocol), protocol ? size : 0);
  return name == TlsContext::kProtocol ? Status::kDone : Status::kFailed;
}

TlsSession::Status TlsSession::read(std::span<std::uint8_t> buffer, std::size_t& size) {
  const ErrorScope errors;
  const auto status = status_of(SSL_read_ex(session_.get(), buffer.data(), buffer.size(), &size));
  is_broken_ = is_broken_ || status == Status::kFailed;
  return status;
}

TlsSession::Status TlsSession::write(std::span<const std::uint8_t> bytes, std::size_t& size) {
  const ErrorScope errors;
  const auto status = status_of(SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &size));
  is_broken_ = is_broken_ || status == Status::kFailed;
  return status;
}

void TlsSession::close() {
  const ErrorScope errors;
  // After a fatal error OpenSSL forbids it, and during the handshake it is one.
  if (!is_broken_ && SSL_is_init_finished(session_.get()) == 1) SSL_shutdown(session_.get());
}

}  // namespace sixlink::pki
