// SPDX-License-Identifier: BSD-3-Clause
// A client's end of a tunnel without encryption: UDP with one inner packet a datagram (v6udpv4), or raw
// (v6v4, v4v6), moved by lanes between a tunnel interface and a connected socket. Used from the control
// thread, which all events come on.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "src/datapath/lanes.h"

namespace sixlink::datapath {

class PlainTunnel {
 public:
  struct Events {
    // A packet from Settings::watched to this end. It goes to the interface as well, where the kernel ignores
    // keepalive replies: that an interface which was set down refuses them is how an idle tunnel notices.
    std::function<void(std::span<const std::uint8_t>)> on_packet;
    // The outer socket reported an error (port unreachable, network down). The tunnel goes on.
    std::function<void(const boost::system::error_code&)> on_socket_error;
    // The interface is gone or broken: the tunnel has ended.
    std::function<void(const boost::system::error_code&)> on_interface_error;
  };
  struct Settings {
    Encapsulation encapsulation = Encapsulation::kUdp;
    InnerFilter filter;
    int mtu;  // larger inner packets are dropped (the interface sends none), and TCP is told of it
    boost::asio::ip::address watched;  // whose ICMP on_packet is to see; unspecified: nobody's
    platform::Offloads offloads;
  };

  // Starts at once and owns `socket`, which is connected.
  PlainTunnel(const boost::asio::any_io_executor& executor,
              std::vector<std::unique_ptr<platform::TunQueue>> queues, int socket, const Settings& settings,
              Events events);
  PlainTunnel(const PlainTunnel&) = delete;
  PlainTunnel& operator=(const PlainTunnel&) = delete;
  // Closes socket and interface; no event comes afterwards.
  ~PlainTunnel();

  // An inner packet of this process itself (keepalive), not counted. `may_fragment`: outside, where it does
  // not fit.
  void send(std::span<const std::uint8_t> packet, bool may_fragment = true);
  void set_mtu(int mtu);
  // A copy of the socket, for a conversation with the broker beside the tunnel: the caller reads it, and
  // gives what is not his to input(), until take_socket_back(). -1: there is none.
  int lend_socket();
  void take_socket_back();
  // A datagram that the borrower read.
  void input(std::span<std::uint8_t> packet);
  // Ends the tunnel, whose interface stays until this object goes; the caller owns the socket from now on.
  int release_socket();

  Counters counters() const;
  const std::string& interface_name() const { return lanes_->interface_name(); }
  std::size_t lanes() const { return lanes_->count(); }
  platform::Offloads offloads() const { return lanes_->granted(); }

 private:
  class Policy;

  void wait_for_mail();
  void read_mail();

  Events events_;
  int socket_;  // -1: released
  std::unique_ptr<Policy> policy_;
  LaneMailbox mailbox_;
  std::unique_ptr<Lanes> lanes_;
  boost::asio::posix::stream_descriptor mail_;  // watches mailbox_'s descriptor, does not own it
  Counters own_counters_;                       // of the control thread
  bool is_lent_ = false;
  std::shared_ptr<bool> is_alive_ =
      std::make_shared<bool>(true);  // for completions that are under way when this ends
};

}  // namespace sixlink::datapath
