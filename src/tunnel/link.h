// SPDX-License-Identifier: BSD-3-Clause
// A tunnel that stands, whoever moves its packets: this program (DatapathLink) or the kernel (KernelLink).
#pragma once

#include <boost/system/error_code.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "src/datapath/inner_filter.h"
#include "src/net/icmpv6.h"
#include "src/tunnel/echo_message.h"

namespace sixlink::tunnel {

// Called from the event loop, never after the link's end. None may destroy the link.
struct LinkEvents {
  // An echo reply from the keepalive address to this end, its checksum verified.
  std::function<void(const net::EchoReply&)> on_echo_reply;
  // Sending to the broker failed, or the network reported an error. The tunnel goes on.
  std::function<void(const boost::system::error_code&)> on_outer_error;
  // The interface is gone or cannot be used: the tunnel has ended.
  std::function<void(const boost::system::error_code&)> on_interface_error;
};

class Link {
 public:
  virtual ~Link() = default;
  // To the keepalive address. With a size: not fragmented on its way.
  virtual void send_echo(const EchoMessage& echo) = 0;
  // Inner packets without our own echoes. nullopt: the interface is gone.
  virtual std::optional<datapath::Counters> counters() = 0;
  // "kernel" or "userspace"
  virtual std::string_view datapath() const = 0;
  // How many threads move packets each way, and with what help of the system's; 0 and empty: the kernel does
  // it all.
  virtual std::size_t lanes() const { return 0; }
  virtual std::string offloads() const { return {}; }
  // The inner packets that may pass have this size from now on.
  virtual void set_mtu(int mtu) = 0;
};

}  // namespace sixlink::tunnel
