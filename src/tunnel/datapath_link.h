// SPDX-License-Identifier: BSD-3-Clause
// A tunnel whose packets this program moves.
#pragma once

#include <memory>

#include "src/datapath/plain_tunnel.h"
#include "src/tunnel/link.h"
#include "src/tunnel/parameters.h"

namespace sixlink::tunnel {

class DatapathLink : public Link {
 public:
  // `socket` is connected and becomes the link's; the interface has the parameters' MTU. Echoes go to
  // `echo_target`, unspecified for none.
  DatapathLink(const boost::asio::any_io_executor& executor,
               std::vector<std::unique_ptr<platform::TunQueue>> queues, int socket,
               const TunnelParameters& parameters, const boost::asio::ip::address& echo_target,
               const platform::Offloads& offloads, LinkEvents events);

  void send_echo(const EchoMessage& echo) override;
  std::optional<datapath::Counters> counters() override { return tunnel_.counters(); }
  std::string_view datapath() const override { return "userspace"; }
  void set_mtu(int mtu) override { tunnel_.set_mtu(mtu); }
  std::size_t lanes() const override { return tunnel_.lanes(); }
  std::string offloads() const override { return platform::to_string(tunnel_.offloads()); }

  // See PlainTunnel.
  int lend_socket() { return tunnel_.lend_socket(); }
  void take_socket_back() { tunnel_.take_socket_back(); }
  void input(std::span<std::uint8_t> packet) { tunnel_.input(packet); }
  // The tunnel carries nothing any more; its socket is the caller's.
  int release_socket() { return tunnel_.release_socket(); }

 private:
  boost::asio::ip::address source_;
  boost::asio::ip::address target_;
  LinkEvents events_;
  datapath::PlainTunnel tunnel_;
};

}  // namespace sixlink::tunnel
