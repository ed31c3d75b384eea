// SPDX-License-Identifier: BSD-3-Clause
// Datagrams in TLS over TCP, for networks that let nothing else out: each with its length (16 bits) before
// it. A connection is given to its user as a connected UDP socket on the loopback interface, so that what
// works on UDP (the negotiation, WireguardTunnel) works on it unchanged. TLS hides and is hard to block, it
// authenticates nobody: WireGuard inside does. man/sixlink-tsp.7, "Links over TCP".
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sixlink::client {

struct TlsSettings {
  std::vector<std::uint16_t> ports{3653};  // to listen on, at all addresses; 0: any; none: only connects
  std::size_t most_connections = 64;       // that others made
  std::size_t most_per_address = 8;        // net::quota_address()
  // TCP, TLS, and then the first datagram.
  std::chrono::milliseconds handshake_limit{10000};
  // A link in use sends a probe every few seconds.
  std::chrono::milliseconds idle_limit{60000};
};

struct TlsCounters {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  // too many
  std::uint64_t failed = 0;   // handshakes, and what was no frame
  std::uint64_t datagrams_in = 0;
  std::uint64_t datagrams_out = 0;
  std::uint64_t dropped = 0;  // no room on the way to the user
  std::size_t open = 0;
};

// Encryption has a thread of its own. Everything here is called on the event loop's, and calls back on it.
class TlsTransport {
 public:
  using TcpEndpoint = boost::asio::ip::tcp::endpoint;
  // The descriptor is the receiver's to close, which ends the connection. It does not block. What the other
  // side's end of the connection means for it: sending fails with ECONNREFUSED.
  using OnPeer = std::function<void(int socket, const TcpEndpoint& peer)>;
  using OnConnected = std::function<void(boost::system::result<int> socket)>;

  // `io` and `log` outlive it. `on_peer`: somebody has connected. A port that cannot be listened on costs
  // a warning; throws std::runtime_error where OpenSSL cannot.
  TlsTransport(boost::asio::io_context& io, TlsSettings settings, spdlog::logger& log, OnPeer on_peer);
  TlsTransport(const TlsTransport&) = delete;
  TlsTransport& operator=(const TlsTransport&) = delete;
  // Ends all connections; nothing is called afterwards.
  ~TlsTransport();

  // Calls back once, within handshake_limit.
  void connect(const TcpEndpoint& peer, OnConnected on_connected);
  // Those of the settings that are open.
  const std::vector<std::uint16_t>& listening_ports() const;
  TlsCounters counters() const;

 private:
  class Relay;
  std::unique_ptr<Relay> relay_;
};

}  // namespace sixlink::client
