// SPDX-License-Identifier: BSD-3-Clause
#include "registry/api/tls_stream.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <new>

#include "src/pki/openssl_types.h"
#include "src/pki/private_key.h"

namespace sixlink::registry {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// OpenSSL would take 100 KiB of certificates from anybody.
constexpr long kLargestCertificateList = 16384;

struct FreeSession {
  void operator()(SSL* session) const { SSL_free(session); }
};

bool use_chain(SSL_CTX* context, std::string_view pem) {
  const auto bio = pki::read_only(pem);
  int count = 0;
  while (bio) {
    const pki::X509Ptr one(PEM_read_bio_X509(bio.get(), nullptr, pki::refuse_password, nullptr));
    if (!one) break;
    const bool is_used = count++ == 0 ? SSL_CTX_use_certificate(context, one.get()) == 1
                                      : SSL_CTX_add1_chain_cert(context, one.get()) == 1;
    if (!is_used) return false;
  }
  return count > 0;
}

}  // namespace

TlsServerContext make_tls_server(const std::string& chain_pem, const pki::Secret& key_pem,
                                 std::string& problem) {
  const pki::ErrorScope errors;
  TlsServerContext made(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  auto* const context = made.get();
  const auto key = pki::PrivateKey::parse(key_pem.reveal());
  if (!context || !key || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      !use_chain(context, chain_pem) || SSL_CTX_use_PrivateKey(context, key->native()) != 1) {
    problem = "cannot use the HTTPS server's certificate and key";
    return nullptr;
  }
  // No sessions to resume: the certificate is shown in each handshake.
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_max_cert_list(context, kLargestCertificateList);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // The handler can say what is wrong with a certificate, an alert cannot.
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
  return made;
}

// A timer's handler may come when the stream is gone.
struct TlsStream::State {
  State(tcp::socket of, TlsServerContext with)
      : context(std::move(with)),
        socket(std::move(of)),
        timer(socket.get_executor()),
        session(SSL_new(context.get())) {}

  TlsServerContext context;
  tcp::socket socket;
  asio::steady_timer timer;
  std::unique_ptr<SSL, FreeSession> session;
  bool is_broken = false;
};

TlsStream::TlsStream(tcp::socket socket, TlsServerContext context)
    : state_(std::make_shared<State>(std::move(socket), std::move(context))) {
  boost::system::error_code error;
  state_->socket.non_blocking(true, error);
  state_->socket.native_non_blocking(true, error);
  auto* const session = state_->session.get();
  if (!session || error || SSL_set_fd(session, state_->socket.native_handle()) != 1) throw std::bad_alloc();
  SSL_set_accept_state(session);
}

TlsStream::~TlsStream() {
  state_->timer.cancel();
}

void TlsStream::expires_after(std::chrono::seconds time) {
  state_->timer.expires_after(time);
  state_->timer.async_wait([weak = std::weak_ptr(state_)](const boost::system::error_code& error) {
    const auto state = weak.lock();
    boost::system::error_code ignored;
    // It may have been set again after this handler was due.
    if (!error && state && state->timer.expiry() <= std::chrono::steady_clock::now())
      state->socket.close(ignored);
  });
}

void TlsStream::expires_never() {
  state_->timer.expires_at(std::chrono::steady_clock::time_point::max());
}

void TlsStream::close() {
  boost::system::error_code ignored;
  state_->socket.close(ignored);
}

template <typename Operation>
asio::awaitable<bool> TlsStream::run(Operation operation) {
  const auto state = state_;
  while (!state->is_broken && state->socket.is_open()) {
    int reason = SSL_ERROR_NONE;
    {
      const pki::ErrorScope errors;
      const int result = operation(state->session.get());
      reason = SSL_get_error(state->session.get(), result);
    }
    if (reason == SSL_ERROR_NONE) co_return true;
    state->is_broken = reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE;
    if (state->is_broken) break;
    const auto what = reason == SSL_ERROR_WANT_READ ? tcp::socket::wait_read : tcp::socket::wait_write;
    const auto [error] = co_await state->socket.async_wait(what, kAwait);
    if (error) break;
  }
  co_return false;
}

asio::awaitable<bool> TlsStream::handshake() {
  return run([](SSL* session) { return SSL_do_handshake(session); });
}

asio::awaitable<std::size_t> TlsStream::read(std::span<char> buffer) {
  std::size_t size = 0;
  auto reading = run([&](SSL* session) { return SSL_read_ex(session, buffer.data(), buffer.size(), &size); });
  const bool is_read = co_await std::move(reading);
  co_return is_read ? size : 0;
}

asio::awaitable<bool> TlsStream::write(std::string_view text) {
  while (!text.empty()) {
    std::size_t size = 0;
    auto writing = run([&](SSL* session) { return SSL_write_ex(session, text.data(), text.size(), &size); });
    const bool is_written = co_await std::move(writing);
    if (!is_written) co_return false;
    text.remove_prefix(size);
  }
  co_return true;
}

asio::awaitable<void> TlsStream::shutdown() {
  const auto state = state_;
  auto ending = run([](SSL* session) { return SSL_shutdown(session) < 0 ? -1 : 1; });
  const bool is_told = co_await std::move(ending);
  boost::system::error_code ignored;
  // What the client still sends is not answered with a reset, which would take the answer from it.
  if (is_told) state->socket.shutdown(tcp::socket::shutdown_send, ignored);
  char rest[512];
  while (is_told) {
    auto reading = read(rest);
    const auto size = co_await std::move(reading);
    if (size == 0) break;
  }
}

std::vector<std::uint8_t> TlsStream::peer_certificate() const {
  const pki::ErrorScope errors;
  const auto* const certificate = SSL_get0_peer_certificate(state_->session.get());
  if (certificate == nullptr) return {};
  std::vector<std::uint8_t> der(static_cast<std::size_t>(std::max(0, i2d_X509(certificate, nullptr))));
  auto* to = der.data();
  i2d_X509(certificate, &to);
  return der;
}

}  // namespace sixlink::registry
