// SPDX-License-Identifier: BSD-3-Clause
// A node's links as they are in the system: for each a tunnel interface (sixm1, sixm2, ...) and a WireGuard
// tunnel over a socket that is connected to the peer. Which links there are is MeshNode's decision.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/packet_io.h"
#include "src/datapath/mesh_filter.h"
#include "src/log/log.h"
#include "src/mesh/node.h"
#include "src/pki/wireguard_key.h"

namespace sixlink::datapath {
class WireguardTunnel;
}
namespace sixlink::wireguard {
class InitiatorReader;
}

namespace sixlink::client {

class MeshLinks {
 public:
  struct Settings {
    datapath::MeshFilter filter;
    platform::Offloads offloads;
    std::string name_prefix = "sixm";
  };
  // Never called while one of this object's methods runs that closes links; a handler may not open or close
  // links itself.
  struct Events {
    std::function<void(mesh::LinkId)> on_handshake;
    std::function<void(mesh::LinkId, const std::string& why)> on_failed;
    // A control message of the neighbour's that came inside of the link.
    std::function<void(mesh::LinkId, std::span<const std::uint8_t>)> on_control;
    // A datagram that came to a link's socket and is none of WireGuard's: negotiation.
    std::function<void(std::span<const std::uint8_t>, const mesh::Endpoint& from, mesh::Transport)> on_outer;
    // A socket that is connected to where the peer is now; -1: there is none.
    std::function<int(const mesh::Endpoint&)> connect;
  };

  // `key` and `log` outlive it. Throws std::runtime_error when OpenSSL lacks an algorithm.
  MeshLinks(const boost::asio::any_io_executor& executor, Settings settings, const pki::WireguardKeyPair& key,
            spdlog::logger& log, Events events);
  ~MeshLinks();
  MeshLinks(const MeshLinks&) = delete;
  MeshLinks& operator=(const MeshLinks&) = delete;

  // Takes `socket`, which is connected to the peer. Empty: the link is there. Else why not.
  std::string open(const mesh::OpenLink& link, int socket);
  void close(mesh::LinkId link);
  void close_all();

  // A WireGuard message that came to a main socket. True: it was one of a link's.
  bool offer(std::span<std::uint8_t> datagram, const mesh::Endpoint& from);
  void send_control(mesh::LinkId link, std::span<const std::uint8_t> message);
  // Negotiation with somebody who is reached over a connection that has become a link's. False: there is none
  // such.
  bool send_outer(const mesh::Endpoint& to, mesh::Transport transport, std::span<const std::uint8_t> message);

  // This machine's addresses or routes are others: links whose socket sends from an address that it would not
  // send from now get another one, and tell their peers. How many.
  std::size_t reconnect();
  // Packets of the rest of the Internet may pass.
  void set_takes_foreign(bool takes_foreign);

  std::vector<mesh::Traffic> traffic() const;
  struct Status {
    mesh::LinkId link = 0;
    std::string interface;
    mesh::Endpoint endpoint;  // where the peer is now
    datapath::Counters counters;
    std::uint64_t bytes_in = 0;  // of whole messages
    std::uint64_t bytes_out = 0;
  };
  std::vector<Status> status() const;
  // Of those that are open. Empty, 0: it is none.
  std::string interface_of(mesh::LinkId link) const;
  mesh::LinkId link_of(std::string_view interface) const;
  std::size_t size() const { return links_.size(); }

 private:
  struct Link;

  std::string free_name();
  Link* find(mesh::LinkId link) const;

  boost::asio::any_io_executor executor_;
  Settings settings_;
  const pki::WireguardKeyPair& key_;
  spdlog::logger& log_;
  Events events_;
  std::unique_ptr<wireguard::InitiatorReader> reader_;
  // Of initiations that are looked at: one costs 50 microseconds.
  log::RateLimit initiations_;
  std::map<mesh::LinkId, std::unique_ptr<Link>> links_;
  unsigned next_name_ = 1;
};

}  // namespace sixlink::client
