// SPDX-License-Identifier: BSD-3-Clause
// A tunnel whose packets the kernel moves, through an interface that the template made: watched by its
// counters, asked through a raw socket.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/result.hpp>
#include <memory>
#include <string>

#include "src/tunnel/link.h"
#include "src/tunnel/parameters.h"

namespace sixlink::tunnel {

class KernelLink : public Link {
 public:
  // The interface exists and is configured. Without an `echo_target` (unspecified) no echo is ever sent.
  static boost::system::result<std::unique_ptr<KernelLink>> open(const boost::asio::any_io_executor& executor,
                                                                 const TunnelParameters& parameters,
                                                                 const boost::asio::ip::address& echo_target,
                                                                 LinkEvents events);
  KernelLink(const KernelLink&) = delete;
  KernelLink& operator=(const KernelLink&) = delete;
  ~KernelLink() override;

  void send_echo(const EchoMessage& echo) override;
  std::optional<datapath::Counters> counters() override;
  std::string_view datapath() const override { return "kernel"; }
  void set_mtu(int) override {}  // the interface has it

 private:
  KernelLink(const boost::asio::any_io_executor& executor, const TunnelParameters& parameters,
             const boost::asio::ip::address& echo_target, LinkEvents events);
  void wait();
  void read();

  std::string interface_;
  boost::asio::ip::address source_;
  boost::asio::ip::address target_;
  LinkEvents events_;
  boost::asio::posix::stream_descriptor socket_;
  std::array<std::uint8_t, 2048> buffer_;
  datapath::Counters before_;  // of the interface, when the link began
  // Of our own echoes.
  std::uint64_t echoes_sent_ = 0;
  std::uint64_t echo_bytes_sent_ = 0;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

}  // namespace sixlink::tunnel
