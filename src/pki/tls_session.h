// SPDX-License-Identifier: BSD-3-Clause
// TLS (RFC 8446) to hide what is in a TCP connection and to look like what firewalls let pass. It
// authenticates nobody: what travels in it does that itself. Version 1.3 alone, as both ends are ours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct ssl_st;
struct ssl_ctx_st;

namespace sixlink::pki {

// With a key and a certificate that were made for this process. One thread's, with all its sessions.
class TlsContext {
 public:
  // The protocol inside (ALPN, RFC 7301): who serves or wants another one is not ours to talk to. No server
  // name is told: addresses are none (RFC 6066).
  static constexpr const char* kProtocol = "sixlink";

  // Throws std::runtime_error where OpenSSL cannot.
  TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  ssl_ctx_st* native() const { return context_; }

 private:
  ssl_ctx_st* context_;
};

// One connection over a socket that somebody else owns, which does not block.
class TlsSession {
 public:
  enum class Status : std::uint8_t {
    kDone,
    kWantsRead,   // again when the socket is readable,
    kWantsWrite,  // or writable
    kClosed,      // by the other end
    kFailed,
  };

  // Throws std::runtime_error where OpenSSL cannot.
  TlsSession(const TlsContext& context, int socket, bool is_client);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession();

  Status handshake();
  // kDone: `size` bytes, at least one.
  Status read(std::span<std::uint8_t> buffer, std::size_t& size);
  // kDone: the first `size` bytes. What is written in one call goes in as few records as hold it. After
  // another status the next call begins with the same bytes; they may have moved.
  Status write(std::span<const std::uint8_t> bytes, std::size_t& size);
  // Tells the other end, if the socket has room for that.
  void close();

 private:
  Status status_of(int result) const;

  struct Free {
    void operator()(ssl_st* session) const;
  };
  std::unique_ptr<ssl_st, Free> session_;
  bool is_broken_ = false;
};

}  // namespace sixlink::pki
