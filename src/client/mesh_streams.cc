// SPDX-License-Identifier: BSD-3-Clause
// A node's TLS connections before they become links.
#include "src/client/mesh_streams.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/error.hpp>
#include <cerrno>

#include "platform/platform.h"

namespace sixlink::client {
namespace {

using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kLargest = 2048;
constexpr int kBatch = 32;
constexpr std::chrono::seconds kLook{5};

mesh::Endpoint to_udp(const TlsTransport::TcpEndpoint& endpoint) {
  return {endpoint.address(), endpoint.port()};
}

}  // namespace

//  connecting --connected--> open --take()--> the link's
//       |                     |
//       +--failed-------------+--idle, ended by the other--> gone
struct MeshStreams::Stream {
  Stream(boost::asio::io_context& io, const mesh::Endpoint& to) : peer(to), descriptor(io) {}
  mesh::Endpoint peer;
  boost::asio::posix::stream_descriptor descriptor;  // not open: it is being connected
  std::vector<std::vector<std::uint8_t>> waiting;
  OnTaken on_taken;
  Clock::time_point last_used = Clock::now();
  bool is_gone = false;
};

MeshStreams::MeshStreams(boost::asio::io_context& io, TlsSettings settings, spdlog::logger& log,
                         OnDatagram on_datagram)
    : io_(io),
      log_(log),
      on_datagram_(std::move(on_datagram)),
      timer_(io),
      transport_(io, std::move(settings), log,
                 [this](int socket, const TlsTransport::TcpEndpoint& peer) { accept(socket, peer); }) {
  expire();
}

MeshStreams::~MeshStreams() {
  *is_alive_ = false;
  for (const auto& [endpoint, stream] : streams_) stream->is_gone = true;
}

void MeshStreams::accept(int socket, const TlsTransport::TcpEndpoint& peer) {
  const auto endpoint = to_udp(peer);
  if (streams_.size() >= kMostStreams || streams_.contains(endpoint)) {
    ::close(socket);
    return;
  }
  auto stream = std::make_shared<Stream>(io_, endpoint);
  streams_.emplace(endpoint, stream);
  start(stream, socket);
}

std::shared_ptr<MeshStreams::Stream> MeshStreams::connect(const mesh::Endpoint& to) {
  const auto found = streams_.find(to);
  if (found != streams_.end()) return found->second;
  if (streams_.size() >= kMostStreams) return nullptr;
  auto stream = std::make_shared<Stream>(io_, to);
  streams_.emplace(to, stream);
  transport_.connect({to.address(), to.port()}, [this, stream](boost::system::result<int> socket) {
    if (stream->is_gone) {
      if (socket) ::close(*socket);
      return;
    }
    if (socket) {
      start(stream, *socket);
      return;
    }
    log_.debug("no TLS connection to {}:{}: {}", stream->peer.address().to_string(), stream->peer.port(),
               socket.error().message());
    const auto taken = std::move(stream->on_taken);
    const auto error = socket.error();
    drop(stream);
    if (taken) taken(error);
  });
  return stream;
}

void MeshStreams::start(const std::shared_ptr<Stream>& stream, int socket) {
  stream->last_used = Clock::now();
  for (const auto& datagram : std::exchange(stream->waiting, {})) (void)platform::send_one(socket, datagram);
  if (stream->on_taken) {
    const auto taken = std::move(stream->on_taken);
    drop(stream);
    taken(socket);
    return;
  }
  stream->descriptor.assign(socket);
  wait(stream);
}

void MeshStreams::wait(const std::shared_ptr<Stream>& stream) {
  stream->descriptor.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                [this, stream](const error_code& error) {
                                  if (error || stream->is_gone) return;
                                  if (read(stream) && !stream->is_gone) wait(stream);
                                });
}

bool MeshStreams::read(const std::shared_ptr<Stream>& stream) {
  std::array<std::uint8_t, kLargest> buffer;
  for (int i = 0; i < kBatch && !stream->is_gone; ++i) {
    const int fd = stream->descriptor.native_handle();
    // WireGuard's messages wait in the socket for the link.
    auto size = ::recv(fd, buffer.data(), 1, MSG_PEEK | MSG_DONTWAIT);
    if (size == 1 && buffer[0] >= 1 && buffer[0] <= 4) return false;
    if (size >= 0) size = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return true;
      drop(stream);
      return false;
    }
    stream->last_used = Clock::now();
    if (size > 0 && buffer[0] >> 4 == 0xF)
      on_datagram_({buffer.data(), static_cast<std::size_t>(size)}, stream->peer);
  }
  return true;
}

void MeshStreams::send(std::span<const std::uint8_t> datagram, const mesh::Endpoint& to) {
  const auto stream = connect(to);
  if (!stream || stream->is_gone) return;
  stream->last_used = Clock::now();
  if (stream->descriptor.is_open()) {
    const auto error = platform::send_one(stream->descriptor.native_handle(), datagram);
    if (error == boost::asio::error::connection_refused) drop(stream);
  } else if (stream->waiting.size() < kMostWaiting) {
    stream->waiting.emplace_back(datagram.begin(), datagram.end());
  }
}

void MeshStreams::take(const mesh::Endpoint& peer, OnTaken on_taken) {
  const auto stream = connect(peer);
  if (!stream || stream->is_gone) {
    on_taken(boost::system::errc::make_error_code(boost::system::errc::too_many_files_open));
    return;
  }
  if (!stream->descriptor.is_open()) {
    stream->on_taken = std::move(on_taken);
    return;
  }
  const int socket = stream->descriptor.release();
  drop(stream);
  on_taken(socket);
}

void MeshStreams::drop(const std::shared_ptr<Stream>& stream) {
  stream->is_gone = true;
  error_code ignored;
  stream->descriptor.close(ignored);
  const auto found = streams_.find(stream->peer);
  if (found != streams_.end() && found->second == stream) streams_.erase(found);
}

void MeshStreams::expire() {
  timer_.expires_after(kLook);
  timer_.async_wait([this, alive = is_alive_](const error_code& error) {
    if (error || !*alive) return;
    const auto now = Clock::now();
    std::vector<std::shared_ptr<Stream>> idle;
    for (const auto& [endpoint, stream] : streams_) {
      if (now - stream->last_used > kIdle) idle.push_back(stream);
    }
    for (const auto& stream : idle) {
      const auto taken = std::move(stream->on_taken);
      drop(stream);
      if (taken) taken(boost::system::errc::make_error_code(boost::system::errc::timed_out));
    }
    expire();
  });
}

}  // namespace sixlink::client
