// SPDX-License-Identifier: BSD-3-Clause
// Moves packets between a TUN interface and a connected socket: UDP with one inner packet a datagram
// (v6udpv4), or raw (v6v4, v4v6). Batches on the socket side; runs on the io_context's thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>

#include "platform/platform.h"
#include "src/datapath/inner_filter.h"

namespace sixlink::datapath {

// What the outer socket is.
enum class Encapsulation {
  kUdp,
  kIpv6InIpv4,  // what is received begins with the IPv4 header
  kIpv4InIpv6,
};

class PlainTunnel {
 public:
  struct Events {
    // A packet from the broker to this end, before it goes to the interface. Keepalive replies go there too,
    // where the kernel ignores them: that an interface which was set down refuses them is how an idle tunnel
    // notices.
    std::function<void(const net::IpHeader&, std::span<const std::uint8_t>)> on_packet;
    // The outer socket reported an error (port unreachable, network down). The tunnel goes on.
    std::function<void(const boost::system::error_code&)> on_socket_error;
    // The interface is gone or broken: the tunnel has ended.
    std::function<void(const boost::system::error_code&)> on_interface_error;
  };

  // Starts at once and owns `socket`, which is connected. `mtu`: larger inner packets are dropped (the
  // interface has this MTU, so the kernel sends none), and TCP is told of it.
  PlainTunnel(const boost::asio::any_io_executor& executor, std::unique_ptr<platform::TunDevice> tun,
              int socket, Encapsulation encapsulation, const InnerFilter& filter, int mtu, Events events);
  PlainTunnel(const PlainTunnel&) = delete;
  PlainTunnel& operator=(const PlainTunnel&) = delete;
  // Closes socket and interface; no event comes afterwards.
  ~PlainTunnel();

  // An inner packet of this process itself (keepalive), not counted. `may_fragment`: outside, where it does
  // not fit.
  void send(std::span<const std::uint8_t> packet, bool may_fragment = true);
  void set_mtu(int mtu) { mtu_ = static_cast<std::size_t>(mtu); }
  // A copy of the socket, for a conversation with the broker beside the tunnel: the caller reads it, and
  // gives what is not his to input(), until take_socket_back(). -1: there is none.
  int lend_socket();
  void take_socket_back();
  // A datagram that the borrower read.
  void input(std::span<std::uint8_t> packet);
  // Ends the tunnel, whose interface stays until this object goes; the caller owns the socket from now on.
  int release_socket();

  const Counters& counters() const { return counters_; }
  const std::string& interface_name() const { return tun_->name(); }

 private:
  void wait_for_socket();
  void wait_for_interface();
  void read_socket();
  // False: the interface took it no more, and the tunnel has ended.
  bool deliver(std::span<std::uint8_t> packet);
  bool read_interface();
  void flush(std::size_t bytes);

  std::unique_ptr<platform::TunDevice> tun_;
  boost::asio::posix::stream_descriptor socket_;
  Encapsulation encapsulation_;
  boost::asio::posix::stream_descriptor interface_;  // watches tun_'s descriptor, does not own it
  InnerFilter filter_;
  std::size_t mtu_;
  Events events_;
  Counters counters_;
  platform::DatagramBatch incoming_;
  platform::DatagramBatch outgoing_;
  bool is_lent_ = false;
  std::shared_ptr<bool> is_alive_ =
      std::make_shared<bool>(true);  // for completions that are under way when this ends
};

}  // namespace sixlink::datapath
