// SPDX-License-Identifier: BSD-3-Clause
// The registry's packets: outer sockets, the tunnel interface, and the lanes between them, which ask the
// TunnelServer. Used from the control thread, which all hooks are called on.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "platform/platform.h"
#include "registry/broker/tunnel_server.h"
#include "registry/config.h"
#include "src/datapath/lanes.h"

namespace sixlink::registry {

class TunnelIo final : private datapath::LanePolicy {
 public:
  struct Hooks {
    // A datagram that is no packet: TSP in RUDP, or a WireGuard message. `socket` is for send(). Truncated:
    // it was too long to be one.
    std::function<void(std::size_t socket, const platform::Route&, std::span<std::uint8_t> datagram,
                       bool is_truncated)>
        on_control;
    // A packet from the interface for a lease of mode wireguard that has no session.
    std::function<void(std::int64_t lease, std::span<std::uint8_t> packet)> on_wireguard_departure;
    // wireguard::Device::wake() and roamed() of a lease's peer.
    std::function<void(std::int64_t lease)> on_wireguard_wake;
    std::function<void(std::int64_t lease, const wireguard::Endpoint& from)> on_wireguard_roamed;
    std::function<void(const boost::system::error_code&)> on_socket_error;
    // The interface is gone or broken.
    std::function<void(const boost::system::error_code&)> on_interface_error;
  };

  // All outlive this. `options` say how many lanes there are.
  TunnelIo(const boost::asio::any_io_executor& executor, spdlog::logger& log, TunnelServer& tunnels,
           const datapath::LaneOptions& options, Hooks hooks);
  TunnelIo(const TunnelIo&) = delete;
  TunnelIo& operator=(const TunnelIo&) = delete;
  ~TunnelIo() override;

  // ---- Before start()

  // False: it cannot be listened on (logged). A system that lacks the address family is not a failure.
  bool open_udp(const ListenAddress& address);
  // Raw sockets on those of `listen` that have the kind's address family. False: none could be opened.
  bool open_raw(platform::RawTunnel kind, const std::vector<ListenAddress>& listen);
  // The tunnel interface; its name when it is there.
  boost::system::result<std::string> open_interface(const std::string& name);
  // Where ICMP errors about IPv4 come from. False: they cannot be sent (logged).
  bool open_icmp(const boost::asio::ip::address_v4& source);

  // WireGuard is served, from sockets with this port if it is not 0.
  void take_wireguard(std::uint16_t port);

  void start(std::size_t mtu);

  // The lease's peer has what the device says now.
  void update_session(std::int64_t lease, const wireguard::Device& device, wireguard::PeerId peer);

  // ---- After start()

  // From socket `socket`, which a hook named, to `route.peer`.
  void send(std::size_t socket, const platform::Route& route, std::span<const std::uint8_t> datagram);
  // From the UDP socket that fits best: it has this port, unless that is 0, and the address `route.local` if
  // one has. False: there is none.
  bool send_from(std::uint16_t port, const platform::Route& route, std::span<const std::uint8_t> datagram);
  // A packet to the interface.
  void write(std::span<const std::uint8_t> packet);

  // The lanes', and in own_counters() what the control thread moved itself.
  datapath::Counters counters() const;
  datapath::Counters& own_counters() { return own_counters_; }
  std::size_t lanes() const { return lanes_ ? lanes_->count() : 0; }
  std::string offloads() const { return lanes_ ? platform::to_string(lanes_->granted()) : std::string(); }

 private:
  // Where lanes send from: a socket for each lane, of raw ones a single one.
  struct Place {
    datapath::Encapsulation encapsulation;
    boost::asio::ip::address bound;  // unspecified: all addresses of its family
    std::uint16_t port = 0;
    std::vector<int> sockets;
  };

  // datapath::LanePolicy
  datapath::LanePeer* find_sender(std::size_t socket, const platform::Route& route) override;
  Arrival arrive(datapath::LanePeer& sender, std::span<const std::uint8_t> packet) override;
  const datapath::WireguardSessions* sessions() const override;
  bool is_control(std::span<const std::uint8_t> datagram) const override;
  Departure depart(std::span<const std::uint8_t> frame, std::size_t largest) override;

  const Place& place_of(std::size_t socket) const;
  // The place to send to this tunnel from; null: none of its kind.
  const Place* place_for(const Tunnel& tunnel) const;
  // A UDP one with this port, unless that is 0, if possible with the address `route.local`.
  const Place* udp_place(std::uint16_t port, const boost::asio::ip::address& peer,
                         const boost::asio::ip::address& local) const;
  void wait_for_mail();
  void read_mail();
  void send_error(const datapath::LaneMessage& message);

  boost::asio::any_io_executor executor_;
  spdlog::logger& log_;
  TunnelServer& tunnels_;
  datapath::LaneOptions options_;
  Hooks hooks_;
  bool takes_wireguard_ = false;  // until start()
  std::uint16_t wireguard_port_ = 0;
  std::vector<Place> places_;
  std::size_t udp_places_ = 0;                                       // they come first
  std::vector<boost::asio::posix::stream_descriptor> path_watches_;  // of platform::watch_path_mtu()
  int icmp_ = -1;
  std::vector<std::unique_ptr<platform::TunQueue>> queues_;  // until start()
  datapath::LaneMailbox mailbox_;
  datapath::Counters own_counters_;
  std::unique_ptr<datapath::Lanes> lanes_;
  boost::asio::posix::stream_descriptor mail_;  // watches mailbox_'s descriptor, does not own it
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

}  // namespace sixlink::registry
