// SPDX-License-Identifier: BSD-3-Clause
// A server's TLS connections (RFC 8446, RFC 5246). OpenSSL works on the socket itself and keeps memory only
// for what is on its way: a connection that waits takes some 30 KiB, with Asio's own stream it is 100.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/pki/secret.h"

struct ssl_st;
struct ssl_ctx_st;

namespace sixlink::registry {

using TlsServerContext = std::shared_ptr<ssl_ctx_st>;

// PEM: the server's certificate and those above it; its key. Clients may show a certificate: that they have
// its key is checked, all else is the caller's matter. nullptr: `problem` says why.
TlsServerContext make_tls_server(const std::string& chain_pem, const pki::Secret& key_pem,
                                 std::string& problem);

// One thread's. The process ignores SIGPIPE.
class TlsStream {
 public:
  // Throws std::bad_alloc.
  TlsStream(boost::asio::ip::tcp::socket socket, TlsServerContext context);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream();

  // What is awaited until then fails, and all that follows.
  void expires_after(std::chrono::seconds time);
  void expires_never();
  void close();

  // False: the connection is of no use any more.
  boost::asio::awaitable<bool> handshake();
  boost::asio::awaitable<bool> write(std::string_view text);
  // 0: the same.
  boost::asio::awaitable<std::size_t> read(std::span<char> buffer);
  boost::asio::awaitable<void> shutdown();

  // DER. Empty: the client showed none.
  std::vector<std::uint8_t> peer_certificate() const;

 private:
  struct State;
  template <typename Operation>
  boost::asio::awaitable<bool> run(Operation operation);

  std::shared_ptr<State> state_;
};

}  // namespace sixlink::registry
