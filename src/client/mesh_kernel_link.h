// SPDX-License-Identifier: BSD-3-Clause
// A link of the mesh that is a WireGuard interface of the kernel's: what our datapath tells of its own links,
// found out from the interface's counters, and a socket for the neighbours' control messages inside of it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "platform/kernel_wireguard.h"

namespace sixlink::client {

// What of a WireGuard interface's counters is told to the node, which must not take for traffic what it sent
// itself, nor what WireGuard did. No I/O.
class KernelLinkCounters {
 public:
  struct News {
    bool is_handshake = false;
  };
  // A message of our own of that size, in an inner packet with IPv6's and UDP's headers.
  void sent_own(std::size_t payload);
  News update(const platform::KernelWireguardState& state);

  std::uint64_t received() const { return received_; }  // ever growing
  std::uint64_t sent() const { return sent_; }
  std::uint64_t bytes_in() const { return state_.bytes_in; }
  std::uint64_t bytes_out() const { return state_.bytes_out; }
  bool had_handshake() const { return state_.handshake != 0; }

 private:
  platform::KernelWireguardState state_;
  std::uint64_t own_bytes_ = 0;  // handed over, and perhaps not counted by the interface yet
  unsigned own_age_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t sent_ = 0;
};

class MeshKernelLink {
 public:
  using Control = std::function<void(std::span<const std::uint8_t>)>;

  // The interface is there; it is not this object's.
  static boost::system::result<std::unique_ptr<MeshKernelLink>> open(
      const boost::asio::any_io_executor& executor, std::string interface, Control on_control);
  MeshKernelLink(const MeshKernelLink&) = delete;
  MeshKernelLink& operator=(const MeshKernelLink&) = delete;
  ~MeshKernelLink();

  void send_control(std::span<const std::uint8_t> message);
  // Asks the kernel. An error: the interface is gone.
  boost::system::result<KernelLinkCounters::News> poll(platform::KernelWireguardReader& reader);
  const KernelLinkCounters& counters() const { return counters_; }
  // Where the peer was at the last poll().
  const boost::asio::ip::udp::endpoint& endpoint() const { return endpoint_; }

 private:
  MeshKernelLink(const boost::asio::any_io_executor& executor, std::string interface, int socket,
                 Control on_control);
  void wait();
  void read();

  std::string interface_;
  boost::asio::posix::stream_descriptor socket_;
  boost::asio::ip::udp::endpoint everybody_;  // of the link: ff02::1
  Control on_control_;
  KernelLinkCounters counters_;
  boost::asio::ip::udp::endpoint endpoint_;
  std::shared_ptr<bool> life_ = std::make_shared<bool>(true);
};

}  // namespace sixlink::client
