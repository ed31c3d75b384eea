// SPDX-License-Identifier: BSD-3-Clause
// A client's end of a WireGuard tunnel: packets between a TUN interface and a connected UDP socket, through
// one device with one peer. Runs on the io_context's thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "platform/platform.h"
#include "src/datapath/inner_filter.h"
#include "src/wireguard/device.h"

namespace sixlink::datapath {

class WireguardTunnel {
 public:
  struct Events {
    // A packet from the broker to this end, before it goes to the interface.
    std::function<void(const net::IpHeader&, std::span<const std::uint8_t>)> on_packet;
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
  };

  // Starts at once, with a handshake, and owns `socket`, which is connected to the server. Throws
  // std::runtime_error where OpenSSL lacks an algorithm, or the server's key is none.
  WireguardTunnel(const boost::asio::any_io_executor& executor, std::unique_ptr<platform::TunDevice> tun,
                  int socket, Settings settings, Events events);
  WireguardTunnel(const WireguardTunnel&) = delete;
  WireguardTunnel& operator=(const WireguardTunnel&) = delete;
  // Closes socket and interface; no event comes afterwards.
  ~WireguardTunnel();

  // An inner packet of this process itself (keepalive), not counted. `may_fragment`: outside, where it does
  // not fit.
  void send(std::span<const std::uint8_t> packet, bool may_fragment = true);
  void set_mtu(int mtu) { mtu_ = static_cast<std::size_t>(mtu); }
  // The same tunnel from another address of this machine: `socket` is connected to the server, and is this
  // object's from now on. The server learns of it by the packet that is sent at once.
  void replace_socket(int socket);

  const Counters& counters() const { return counters_; }
  const std::string& interface_name() const { return tun_->name(); }
  wireguard::PeerStatus status() const;

 private:
  void wait_for_socket();
  void wait_for_interface();
  void wait_for_time();
  void read_socket();
  bool read_interface();
  // False: the interface took it no more, and the tunnel has ended.
  bool deliver(std::span<std::uint8_t> packet);
  // False: as deliver().
  bool carry_out(bool may_fragment = true);

  std::unique_ptr<platform::TunDevice> tun_;
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::posix::stream_descriptor interface_;  // watches tun_'s descriptor, does not own it
  boost::asio::steady_timer timer_;
  boost::asio::ip::udp::endpoint server_;
  InnerFilter filter_;
  std::size_t mtu_;
  Events events_;
  wireguard::Device device_;
  wireguard::PeerId peer_;
  wireguard::Actions actions_;
  Counters counters_;
  platform::DatagramBatch incoming_;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

}  // namespace sixlink::datapath
