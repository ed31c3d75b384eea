// SPDX-License-Identifier: BSD-3-Clause
// A node's TLS connections before they become links: negotiation goes over them, and the link that it agrees
// on takes the connection over. Each is known by the other end's TCP endpoint.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "src/client/tls_transport.h"
#include "src/mesh/node.h"

namespace sixlink::client {

class MeshStreams {
 public:
  // Ours and others', that are no links' yet; a connection that carries nothing for so long ends.
  static constexpr std::size_t kMostStreams = 128;
  static constexpr std::size_t kMostWaiting = 16;  // datagrams, of one that is being connected
  static constexpr std::chrono::seconds kIdle{30};

  using OnDatagram = std::function<void(std::span<const std::uint8_t>, const mesh::Endpoint& from)>;

  // `io` and `log` outlive it. Throws std::runtime_error where OpenSSL cannot.
  MeshStreams(boost::asio::io_context& io, TlsSettings settings, spdlog::logger& log, OnDatagram on_datagram);
  ~MeshStreams();
  MeshStreams(const MeshStreams&) = delete;
  MeshStreams& operator=(const MeshStreams&) = delete;

  // Connects first where there is no connection. Lost when that fails.
  void send(std::span<const std::uint8_t> datagram, const mesh::Endpoint& to);
  // The connection for a link, the caller's from now on. Called at once or later.
  using OnTaken = std::function<void(boost::system::result<int>)>;
  void take(const mesh::Endpoint& peer, OnTaken on_taken);

  const std::vector<std::uint16_t>& listening_ports() const { return transport_.listening_ports(); }
  TlsCounters counters() const { return transport_.counters(); }

 private:
  struct Stream;

  void accept(int socket, const TlsTransport::TcpEndpoint& peer);
  std::shared_ptr<Stream> connect(const mesh::Endpoint& to);
  void start(const std::shared_ptr<Stream>& stream, int socket);
  void wait(const std::shared_ptr<Stream>& stream);
  // False: what comes next is the link's.
  bool read(const std::shared_ptr<Stream>& stream);
  void drop(const std::shared_ptr<Stream>& stream);
  void expire();

  boost::asio::io_context& io_;
  spdlog::logger& log_;
  OnDatagram on_datagram_;
  std::map<mesh::Endpoint, std::shared_ptr<Stream>> streams_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
  TlsTransport transport_;
};

}  // namespace sixlink::client
