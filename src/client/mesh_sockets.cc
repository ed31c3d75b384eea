// SPDX-License-Identifier: BSD-3-Clause
// A node's UDP sockets.
#include "src/client/mesh_sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>

#include "platform/overlay.h"
#include "platform/posix/descriptor.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using platform::posix::Descriptor;
using platform::posix::last_error;

// Larger than any control datagram (1,232) and any WireGuard message of a link.
constexpr std::size_t kLargest = 2048;
// Of one wake-up: other work has its turn after so many.
constexpr int kBatch = 64;

// SO_REUSEPORT and not SO_REUSEADDR: it lets only this user's sockets have the port, too.
bool share_port(int socket) {
  const int on = 1;
  return ::setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
}

boost::system::result<Descriptor> open_bound(const MeshSockets::Endpoint& local, bool is_outer) {
  const bool is_v6 = local.address().is_v6();
  Descriptor socket(::socket(is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0));
  if (!socket || !platform::posix::make_private(socket) || !share_port(socket.get())) return last_error();
  const int on = 1;
  if (is_v6 && ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
    return last_error();
  if (is_outer) {
    // Where the system has no marks, it has no table that they would keep us from either.
    const auto error = platform::mark_outer(socket.get());
    if (error && error != boost::system::errc::operation_not_supported) return error;
  }
  if (::bind(socket.get(), local.data(), static_cast<socklen_t>(local.size())) != 0) return last_error();
  return socket;
}

std::string explain(const MeshSockets::Endpoint& local, const error_code& error) {
  const auto text = "cannot open UDP port " + std::to_string(local.port()) +
                    (local.address().is_v6() ? " (IPv6)" : " (IPv4)") + ": " + error.message();
  if (error == boost::system::errc::address_in_use)
    return text + "; another program has it: choose another one with link_port=";
  if (error == boost::system::errc::operation_not_permitted ||
      error == boost::system::errc::permission_denied)
    return text + "; run as root";
  return text;
}

}  // namespace

struct MeshSockets::Socket {
  Socket(asio::io_context& io, Descriptor fd, const Receive& receive)
      : descriptor(io, fd.release()), on_datagram(receive) {}
  asio::posix::stream_descriptor descriptor;
  const Receive& on_datagram;
  bool is_open = true;
};

MeshSockets::MeshSockets(asio::io_context& io, Settings settings, Events events)
    : io_(io), settings_(std::move(settings)), events_(std::move(events)) {}

MeshSockets::~MeshSockets() {
  for (const auto& socket : {v4_, v6_, overlay_}) {
    if (!socket) continue;
    socket->is_open = false;
    error_code ignored;
    socket->descriptor.close(ignored);
  }
}

std::string MeshSockets::open() {
  std::string problem;
  const auto open_one = [&](const asio::ip::address& any) -> std::shared_ptr<Socket> {
    const Endpoint local(any, settings_.port);
    auto socket = open_bound(local, true);
    if (!socket) {
      if (!problem.empty()) problem += "; ";
      problem += explain(local, socket.error());
      return nullptr;
    }
    auto made = std::make_shared<Socket>(io_, std::move(*socket), events_.on_outer);
    wait(made);
    return made;
  };
  if (settings_.has_v4) v4_ = open_one(asio::ip::address_v4::any());
  if (settings_.has_v6) v6_ = open_one(asio::ip::address_v6::any());
  // None is wanted where all links are over TLS.
  return v4_ || v6_ ? std::string() : problem;
}

std::string MeshSockets::open_overlay() {
  const Endpoint local(settings_.node, kOverlayPort);
  auto socket = open_bound(local, false);
  if (!socket) {
    return "cannot open UDP port " + std::to_string(kOverlayPort) + " of the node's address " +
           settings_.node.to_string() + ": " + socket.error().message();
  }
  overlay_ = std::make_shared<Socket>(io_, std::move(*socket), events_.on_overlay);
  wait(overlay_);
  return {};
}

void MeshSockets::wait(const std::shared_ptr<Socket>& socket) {
  socket->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                [this, socket](const error_code& error) {
                                  if (error == asio::error::operation_aborted || !socket->is_open) return;
                                  read(*socket);
                                  if (socket->is_open) wait(socket);
                                });
}

void MeshSockets::read(Socket& socket) {
  std::array<std::uint8_t, kLargest> buffer;
  for (int i = 0; i < kBatch && socket.is_open; ++i) {
    Endpoint from;
    auto length = static_cast<socklen_t>(from.capacity());
    const auto size = ::recvfrom(socket.descriptor.native_handle(), buffer.data(), buffer.size(), MSG_TRUNC,
                                 from.data(), &length);
    // An error that an ICMP message told of is taken off by this call; the next one reads on.
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (size <= 0 || static_cast<std::size_t>(size) > buffer.size()) continue;
    from.resize(length);
    socket.on_datagram({buffer.data(), static_cast<std::size_t>(size)}, from);
  }
}

error_code MeshSockets::send(const std::shared_ptr<Socket>& socket, std::span<const std::uint8_t> datagram,
                             const Endpoint& to) {
  if (!socket) return boost::system::errc::make_error_code(boost::system::errc::network_unreachable);
  const int fd = socket->descriptor.native_handle();
  // A second time: the first may have been told of an earlier datagram's fate.
  for (int i = 0; i < 2; ++i) {
    if (::sendto(fd, datagram.data(), datagram.size(), 0, to.data(), static_cast<socklen_t>(to.size())) >= 0)
      return {};
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
  }
  return last_error();
}

error_code MeshSockets::send_outer(std::span<const std::uint8_t> datagram, const Endpoint& to) {
  if (!is_outer(to)) return boost::system::errc::make_error_code(boost::system::errc::network_unreachable);
  return send(to.address().is_v4() ? v4_ : v6_, datagram, to);
}

error_code MeshSockets::send_overlay(std::span<const std::uint8_t> datagram, const Endpoint& to) {
  return send(overlay_, datagram, to);
}

boost::system::result<int> MeshSockets::connect(const Endpoint& to, std::uint16_t port) const {
  if (!is_outer(to)) return boost::system::errc::make_error_code(boost::system::errc::network_unreachable);
  const asio::ip::address any = to.address().is_v4() ? asio::ip::address(asio::ip::address_v4::any())
                                                     : asio::ip::address(asio::ip::address_v6::any());
  auto socket = open_bound({any, port != 0 ? port : settings_.port}, true);
  if (!socket) return socket.error();
  if (::connect(socket->get(), to.data(), static_cast<socklen_t>(to.size())) != 0) return last_error();
  return socket->release();
}

bool MeshSockets::is_outer(const Endpoint& endpoint) const {
  if (endpoint.port() == 0 || endpoint.address().is_unspecified() || endpoint.address().is_multicast())
    return false;
  if (endpoint.address().is_v4()) return v4_ != nullptr;
  return v6_ != nullptr && !settings_.network.contains(endpoint.address().to_v6());
}

bool MeshSockets::has_v4() const {
  return v4_ != nullptr;
}
bool MeshSockets::has_v6() const {
  return v6_ != nullptr;
}

}  // namespace sixlink::client
