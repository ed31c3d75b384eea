// SPDX-License-Identifier: BSD-3-Clause
// An HTTPS server for tests: a thread of its own on loopback, one connection at a time, one answer for each
// request. What it answers is the test's.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "registry/ca/tls_certificate.h"
#include "src/pki/openssl_types.h"

namespace sixlink::test {

class FakeRegistry {
 public:
  struct Request {
    std::string method;
    std::string path;
    std::string body;
    std::string client_subject;  // of the client's certificate; empty: it showed none
  };
  struct Answer {
    int status = 200;
    std::string body;
    std::string headers;     // lines with "\r\n"
    bool is_broken = false;  // the connection is closed instead
  };
  using Handler = std::function<Answer(const Request&)>;

  // The certificate is `authority`'s for `host`.
  FakeRegistry(const pki::Authority& authority, const std::string& host, Handler handler)
      : FakeRegistry(registry::make_server_identity(authority, {host}, validity()), authority.certificate(),
                     std::move(handler)) {}
  FakeRegistry(registry::TlsIdentity identity, pki::Certificate shown, Handler handler)
      : handler_(std::move(handler)) {
    std::signal(SIGPIPE, SIG_IGN);
    context_ = SSL_CTX_new(TLS_server_method());
    REQUIRE(context_);
    const auto bio = pki::read_only(std::string_view(identity.certificate_pem));
    const pki::X509Ptr leaf(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    const auto key = pki::PrivateKey::parse(identity.key_pem.reveal());
    REQUIRE(leaf);
    REQUIRE(key);
    REQUIRE(SSL_CTX_use_certificate(context_, leaf.get()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(context_, key->native()) == 1);
    REQUIRE(SSL_CTX_add1_chain_cert(context_, shown.native()) == 1);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener_, 16) == 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeRegistry() { stop(); }
  FakeRegistry(const FakeRegistry&) = delete;
  FakeRegistry& operator=(const FakeRegistry&) = delete;

  void stop() {
    is_ending_ = true;
    if (thread_.joinable()) thread_.join();
    if (listener_ >= 0) ::close(std::exchange(listener_, -1));
    if (context_) SSL_CTX_free(std::exchange(context_, nullptr));
  }
  std::string url(const std::string& host = "127.0.0.1") const {
    return "https://" + host + ":" + std::to_string(port_);
  }
  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int connections() const { return connections_; }

  static pki::Validity validity() {
    const auto now = std::chrono::system_clock::now();
    return {now - std::chrono::hours(1), now + std::chrono::hours(24)};
  }

 private:
  void serve() {
    while (!is_ending_) {
      pollfd readable{listener_, POLLIN, 0};
      if (::poll(&readable, 1, 50) <= 0) continue;
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) continue;
      ++connections_;
      const timeval limit{3, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      SSL* const tls = SSL_new(context_);
      SSL_set_fd(tls, fd);
      if (SSL_accept(tls) == 1) answer(tls);
      SSL_shutdown(tls);
      SSL_free(tls);
      ::close(fd);
    }
  }

  void answer(SSL* tls) {
    std::string text;
    std::size_t head = std::string::npos;
    std::size_t length = 0;
    while (head == std::string::npos || text.size() < head + 4 + length) {
      char buffer[4096];
      const int size = SSL_read(tls, buffer, sizeof buffer);
      if (size <= 0) return;
      text.append(buffer, static_cast<std::size_t>(size));
      head = text.find("\r\n\r\n");
      const auto at = text.find("Content-Length: ");
      if (head != std::string::npos && at < head) length = std::stoul(text.substr(at + 16));
    }
    Request request;
    request.method = text.substr(0, text.find(' '));
    const auto path = text.find(' ') + 1;
    request.path = text.substr(path, text.find(' ', path) - path);
    request.body = text.substr(head + 4);
    if (X509* const shown = SSL_get1_peer_certificate(tls)) {
      char line[256] = "";
      X509_NAME_oneline(X509_get_subject_name(shown), line, sizeof line);
      request.client_subject = line;
      X509_free(shown);
    }
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const auto made = handler_(request);
    if (made.is_broken) return;
    const auto out = "HTTP/1.1 " + std::to_string(made.status) +
                     " X\r\nContent-Length: " + std::to_string(made.body.size()) +
                     "\r\nConnection: close\r\n" + made.headers + "\r\n" + made.body;
    SSL_write(tls, out.data(), static_cast<int>(out.size()));
  }

  Handler handler_;
  SSL_CTX* context_ = nullptr;
  int listener_ = -1;
  unsigned port_ = 0;
  std::atomic<bool> is_ending_ = false;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::thread thread_;
};

}  // namespace sixlink::test
