// SPDX-License-Identifier: BSD-3-Clause
// A client's end of a WireGuard tunnel: packets between a tunnel interface and a connected UDP socket, moved
// and encrypted by lanes; one device with one peer, whose handshakes and timers the control thread has. Used
// from that thread, which all events come on.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "src/datapath/inner_filter.h"
#include "src/datapath/lanes.h"
#include "src/wireguard/device.h"

namespace sixlink::datapath {

class WireguardTunnel {
 public:
  struct Events {
    // A packet from Settings::watched to this end. It goes to the interface as well.
    std::function<void(std::span<const std::uint8_t>)> on_packet;
    // The outer socket reported an error (port unreachable, network down). The tunnel goes on.
    std::function<void(const boost::system::error_code&)> on_socket_error;
    // The interface is gone or broken: the tunnel has ended.
    std::function<void(const boost::system::error_code&)> on_interface_error;
  };
  struct Settings {
    wireguard::SecretKey private_key;
    wireguard::PublicKey server_key{};
    boost::asio::ip::udp::endpoint server;
    std::vector<net::Prefix> allowed;  // IPv4 v4-mapped
    InnerFilter filter;
    int mtu = 1280;
    boost::asio::ip::address watched;  // whose ICMP on_packet is to see; unspecified: nobody's
    platform::Offloads offloads;
  };

  // Starts at once, with a handshake, and owns `socket`, which is connected to the server. Throws
  // std::runtime_error where OpenSSL lacks an algorithm, or the server's key is none.
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

  Counters counters() const;
  const std::string& interface_name() const { return lanes_->interface_name(); }
  std::size_t lanes() const { return lanes_->count(); }
  platform::Offloads offloads() const { return lanes_->granted(); }
  wireguard::PeerStatus status() const;

 private:
  class Policy;

  void start_lanes(std::vector<std::unique_ptr<platform::TunQueue>> queues);
  void wait_for_mail();
  void wait_for_time();
  void read_mail();
  void take(const LaneMessage& message);
  void send_own(std::span<const std::uint8_t> packet);
  void carry_out(bool may_fragment = true);

  boost::asio::steady_timer timer_;
  int socket_;
  boost::asio::ip::udp::endpoint server_;
  platform::Offloads offloads_;
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
