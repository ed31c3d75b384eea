// SPDX-License-Identifier: BSD-3-Clause
// A node's UDP sockets. The main ones (IPv4, IPv6) take what comes from anybody to the node's port; each link
// has one of its own on the same port, connected to its peer, which the kernel prefers for what that peer
// sends; and the overlay's is bound to the node's address, below the same port number as all nodes have.
//
// What carries links must not itself be sent into the overlay. Two things see to it: an endpoint inside of
// the network's prefix is refused here, and all outer sockets have the mark that keeps them from the table
// with the overlay's default route (platform::mark_outer()).
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "src/net/prefix.h"

namespace sixlink::client {

class MeshSockets {
 public:
  using Endpoint = boost::asio::ip::udp::endpoint;
  struct Settings {
    std::uint16_t port = 3653;
    bool has_v4 = true;
    bool has_v6 = true;
    net::Prefix network;
    net::AddressV6 node;  // this node's address
  };
  // The bytes are the receiver's during the call, and may be changed.
  using Receive = std::function<void(std::span<std::uint8_t> datagram, const Endpoint& from)>;
  struct Events {
    Receive on_outer;
    Receive on_overlay;
  };
  // The nodes' port inside of the network.
  static constexpr std::uint16_t kOverlayPort = 3653;

  MeshSockets(boost::asio::io_context& io, Settings settings, Events events);
  MeshSockets(const MeshSockets&) = delete;
  MeshSockets& operator=(const MeshSockets&) = delete;
  ~MeshSockets();

  // The main ones. Empty: at least one of those that are wanted is there. Else why not, and what to do.
  std::string open();
  // Once the node has its address.
  std::string open_overlay();

  // Lost where it cannot be sent now, as on any path. False: the error says why.
  boost::system::error_code send_outer(std::span<const std::uint8_t> datagram, const Endpoint& to);
  boost::system::error_code send_overlay(std::span<const std::uint8_t> datagram, const Endpoint& to);
  // A socket of a link's, the caller's from now on. `port`: another one than the shared (0).
  boost::system::result<int> connect(const Endpoint& to, std::uint16_t port = 0) const;

  // Not where links may lead: inside of the network, or of a family that there is no socket of.
  bool is_outer(const Endpoint& endpoint) const;
  bool has_v4() const;
  bool has_v6() const;

 private:
  struct Socket;
  void wait(const std::shared_ptr<Socket>& socket);
  void read(Socket& socket);
  boost::system::error_code send(const std::shared_ptr<Socket>& socket,
                                 std::span<const std::uint8_t> datagram, const Endpoint& to);

  boost::asio::io_context& io_;
  Settings settings_;
  Events events_;
  std::shared_ptr<Socket> v4_;
  std::shared_ptr<Socket> v6_;
  std::shared_ptr<Socket> overlay_;
};

}  // namespace sixlink::client
