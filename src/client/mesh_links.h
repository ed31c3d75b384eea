// SPDX-License-Identifier: BSD-3-Clause
// A node's links as they are in the system: for each a tunnel interface (sixm1, sixm2, ...) and a WireGuard
// tunnel over a socket that is connected to the peer; or, with a port of its own, a WireGuard interface of
// the kernel's. Which links there are is MeshNode's decision.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/kernel_wireguard.h"
#include "platform/packet_io.h"
#include "src/client/kernel_filter.h"
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
    std::optional<KernelFilter> kernel;  // none: no link is the kernel's
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
    // A socket that is connected to where the peer is now, from that port or the shared one (0); -1: none.
    std::function<int(const mesh::Endpoint&, std::uint16_t port)> connect;
    // Before an interface of the kernel's is made, so that it is taken away whatever happens. Empty: done;
    // else why not.
    std::function<std::string(const std::string& interface)> record = nullptr;
    // It is to be taken away, and may be gone already.
    std::function<void(const std::string& interface)> remove = nullptr;
  };

  // `key` and `log` outlive it. Throws std::runtime_error when OpenSSL lacks an algorithm.
  MeshLinks(const boost::asio::any_io_executor& executor, Settings settings, const pki::WireguardKeyPair& key,
            spdlog::logger& log, Events events);
  ~MeshLinks();
  MeshLinks(const MeshLinks&) = delete;
  MeshLinks& operator=(const MeshLinks&) = delete;

  // Takes `socket`, which is connected to the peer. Empty: the link is there. Else why not.
  std::string open(const mesh::OpenLink& link, int socket);
  // The link is to be the kernel's. As open(); where it cannot, that still can.
  bool may_be_kernels(const mesh::OpenLink& link) const { return settings_.kernel && link.own_port != 0; }
  std::string open_in_kernel(const mesh::OpenLink& link);
  // Before it is closed: babeld is to find other ways, at both ends, while packets go on through it until it
  // has found them, and if it takes as long as the link is there. False: that cannot be had here.
  bool leave(mesh::LinkId link);
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
  // IPv4 inside is another one, or none any more. The table of the kernel's links is the caller's.
  void set_v4(const std::optional<net::PrefixV4>& network, const std::optional<net::PrefixV4>& own);

  // Of links of the kernel's handshakes and failures are found out by this, too.
  std::vector<mesh::Traffic> traffic();
  struct Status {
    mesh::LinkId link = 0;
    std::string interface;
    mesh::Endpoint endpoint;  // where the peer is now
    datapath::Counters counters;
    std::uint64_t bytes_in = 0;  // of whole messages
    std::uint64_t bytes_out = 0;
    bool is_kernels = false;
  };
  std::vector<Status> status() const;
  // Of those that are open. Empty, 0: it is none.
  std::string interface_of(mesh::LinkId link) const;
  mesh::LinkId link_of(std::string_view interface) const;
  std::size_t size() const { return links_.size(); }

 private:
  struct Link;

  void on_packet(mesh::LinkId id, std::span<const std::uint8_t> packet);
  datapath::MeshFilter filter_of(const Link& link) const;
  std::string free_name();
  Link* find(mesh::LinkId link) const;
  void poll(mesh::LinkId link);
  void send_babel(Link& link, std::span<const std::uint8_t> packet);
  void tell_cost(mesh::LinkId link, unsigned times);
  boost::system::error_code set_group(const Link& link);
  void watch_handshakes();

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
  platform::KernelWireguardReader reader_of_kernel_;
  boost::asio::steady_timer handshake_timer_;
  bool is_watching_ = false;
};

}  // namespace sixlink::client
