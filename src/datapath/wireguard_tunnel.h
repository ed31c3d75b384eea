// SPDX-License-Identifier: BSD-3-Clause
// A client's end of a WireGuard tunnel, or one end of a link of the mesh: packets between a tunnel interface
// and a connected UDP socket, moved and encrypted by lanes; one device with one peer, whose handshakes and
// timers the control thread has. Used from that thread, which all events come on.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "src/datapath/inner_filter.h"
#include "src/datapath/lanes.h"
#include "src/datapath/mesh_filter.h"
#include "src/wireguard/device.h"

namespace sixlink::datapath {

class WireguardTunnel {
 public:
  struct Events {
    // A packet from Settings::watched to this end, which goes to the interface as well; of a link's, a
    // control message of the neighbour's, which does not.
    std::function<void(std::span<const std::uint8_t>)> on_packet;
    // The outer socket reported an error (port unreachable, network down). The tunnel goes on.
    std::function<void(const boost::system::error_code&)> on_socket_error;
    // The interface is gone or broken: the tunnel has ended.
    std::function<void(const boost::system::error_code&)> on_interface_error;
    // ---- of links ----
    // Keys were made, the first or new ones; 90 s of attempts were in vain.
    std::function<void()> on_handshake = [] {};
    std::function<void()> on_unreachable = [] {};
    // What came to the socket and is not of this tunnel.
    using Stray = std::function<void(std::span<std::uint8_t>, const boost::asio::ip::udp::endpoint& from)>;
    Stray on_stray = nullptr;
    // The peer has moved: a socket that is connected to there, or -1.
    std::function<int(const boost::asio::ip::udp::endpoint&)> open_socket = nullptr;
  };
  struct Settings {
    wireguard::SecretKey private_key;
    wireguard::PublicKey server_key{};
    boost::asio::ip::udp::endpoint server;
    std::vector<net::Prefix> allowed;  // IPv4 v4-mapped
    std::variant<InnerFilter, MeshFilter> filter;
    int mtu = 1280;
    boost::asio::ip::address watched;  // whose ICMP on_packet is to see; unspecified: nobody's
    platform::Offloads offloads;
    bool begins_handshake = true;  // else it waits for the peer's
    LaneRoom room = LaneRoom::kFull;
  };

  // Starts at once, with a handshake unless the settings say otherwise, and owns `socket`, which is connected
  // to the server. Throws std::runtime_error where OpenSSL lacks an algorithm, or the server's key is none.
  WireguardTunnel(const boost::asio::any_io_executor& executor,
                  std::vector<std::unique_ptr<platform::TunQueue>> queues, int socket, Settings settings,
                  Events events);
  WireguardTunnel(const WireguardTunnel&) = delete;
  WireguardTunnel& operator=(const WireguardTunnel&) = delete;
  // Closes socket and interface; no event comes afterwards.
  ~WireguardTunnel();

  // An inner packet of this process itself (keepalive), not counted. `may_fragment`: outside, where it does
  // not fit.
  void send(std::span<const std::uint8_t> packet, bool may_fragment = true);
  void set_mtu(int mtu);
  // The same tunnel from another address of this machine: `socket` is connected to the server, and is this
  // object's from now on. The server learns of it by the packet that is sent at once.
  void replace_socket(int socket);
  // A WireGuard message that came to another socket. True: it was the peer's, and authentic, so that it is
  // there from now on (Events::open_socket). Changes the bytes.
  bool input(std::span<std::uint8_t> datagram, const boost::asio::ip::udp::endpoint& from);
  // A datagram that is none of WireGuard's, to the peer.
  void send_beside(std::span<const std::uint8_t> datagram);
  void set_filter(const MeshFilter& filter);
  // To the interface, as if the peer had sent it.
  void receive(std::span<const std::uint8_t> packet);

  Counters counters() const;
  const std::string& interface_name() const { return lanes_->interface_name(); }
  std::size_t lanes() const { return lanes_->count(); }
  platform::Offloads offloads() const { return lanes_->granted(); }
  wireguard::PeerStatus status() const;
  const boost::asio::ip::udp::endpoint& endpoint() const { return server_; }
  // Of this machine, that the socket sends from. Unspecified: it is not known.
  boost::asio::ip::address local_address() const;
  // Ever growing.
  struct Traffic {
    std::uint64_t received = 0;  // inner packets, control messages included
    std::uint64_t sent = 0;      // of the interface's alone
    std::uint64_t bytes_in = 0;  // of whole messages
    std::uint64_t bytes_out = 0;
  };
  Traffic traffic() const;

 private:
  class Policy;

  void start_lanes(std::vector<std::unique_ptr<platform::TunQueue>> queues);
  void wait_for_mail();
  void wait_for_time();
  void read_mail();
  void take(const LaneMessage& message);
  void send_own(std::span<const std::uint8_t> packet);
  void carry_out(bool may_fragment = true);
  void swap_socket(int socket);
  void follow_peer();
  void deliver(std::span<const std::uint8_t> packet);

  boost::asio::steady_timer timer_;
  int socket_;
  boost::asio::ip::udp::endpoint server_;
  platform::Offloads offloads_;
  LaneRoom room_;
  Events events_;
  wireguard::Device device_;
  wireguard::PeerId peer_;
  wireguard::Actions actions_;
  std::unique_ptr<Policy> policy_;
  LaneMailbox mailbox_;
  std::unique_ptr<Lanes> lanes_;
  boost::asio::posix::stream_descriptor mail_;  // watches mailbox_'s descriptor, does not own it
  Counters own_counters_;                       // of the control thread, and of lanes that were replaced
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

}  // namespace sixlink::datapath
