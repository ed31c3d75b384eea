// SPDX-License-Identifier: BSD-3-Clause
// An HTTPS server for small requests: HTTP/1.1 (RFC 9112) over TLS 1.2 or later, everything bounded. Who asks
// may show a certificate; whether it is good, is the handler's matter.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/pki/secret.h"

namespace sixlink::registry {

struct HttpRequest {
  std::string method;
  std::string target;  // "/v1/contacts?count=3", as it was sent
  std::string body;
  boost::asio::ip::address peer;  // IPv4 as such
  std::uint16_t port = 0;
  // DER of the certificate whose key the peer has; empty: it showed none.
  std::vector<std::uint8_t> certificate;
};

struct HttpResponse {
  unsigned status = 200;
  std::string body;  // none where empty
  std::string content_type = "application/json";
  std::chrono::seconds retry_after{0};  // 0: no such header
};

struct HttpsListen {
  boost::asio::ip::address address;
  std::uint16_t port = 443;
};

struct HttpsLimits {
  std::size_t connections = 5120;             // more than requests are held, so that nodes can join
  std::size_t connections_per_address = 256;  // an IPv6 /64 is one
  std::size_t header = 8192;
  std::size_t body = 65536;
  std::chrono::seconds handshake{10};
  std::chrono::seconds request{15};   // the first of a connection, until it is there
  std::chrono::seconds idle{75};      // a later one
  std::chrono::seconds answer{90};    // until the handler replies
  std::chrono::seconds response{20};  // until it is sent
};

class HttpsServer {
 public:
  using Reply = std::function<void(HttpResponse)>;
  // `reply` is called once, at once or later, in the loop's thread.
  using Handler = std::function<void(std::shared_ptr<const HttpRequest>, Reply reply)>;
  // Asked before the handshake, which costs more than anything that follows. False: the connection is closed.
  using Admit = std::function<bool(const boost::asio::ip::address&)>;

  // `io` and `log` outlive it; it ends with its loop: when io has stopped it may go.
  HttpsServer(boost::asio::io_context& io, spdlog::logger& log, HttpsLimits limits, Admit admit,
              Handler handler);
  ~HttpsServer();
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;

  // PEM: the server's certificate and those above it; its key. For connections from now on. Empty: done.
  std::string use_identity(const std::string& chain_pem, const pki::Secret& key_pem);
  // Empty: it listens there.
  std::string listen(const HttpsListen& where);
  std::size_t connections() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sixlink::registry
