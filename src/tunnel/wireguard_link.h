// SPDX-License-Identifier: BSD-3-Clause
// A WireGuard tunnel whose packets this program moves.
#pragma once

#include <memory>

#include "src/datapath/wireguard_tunnel.h"
#include "src/pki/wireguard_key.h"
#include "src/tunnel/link.h"
#include "src/tunnel/parameters.h"

namespace sixlink::tunnel {

class WireguardLink : public Link {
 public:
  // As DatapathLink's; `parameters` are of mode wireguard. Throws std::runtime_error, see
  // datapath::WireguardTunnel.
  WireguardLink(const boost::asio::any_io_executor& executor,
                std::vector<std::unique_ptr<platform::TunQueue>> queues, int socket,
                const pki::WireguardKeyPair& key, const TunnelParameters& parameters,
                const boost::asio::ip::address& echo_target, const platform::Offloads& offloads,
                LinkEvents events);

  void send_echo(const EchoMessage& echo) override;
  std::optional<datapath::Counters> counters() override { return tunnel_.counters(); }
  std::string_view datapath() const override { return "userspace"; }
  void set_mtu(int mtu) override { tunnel_.set_mtu(mtu); }
  std::size_t lanes() const override { return tunnel_.lanes(); }
  std::string offloads() const override { return platform::to_string(tunnel_.offloads()); }
  // See datapath::WireguardTunnel.
  void replace_socket(int socket) { tunnel_.replace_socket(socket); }

 private:
  boost::asio::ip::address source_;
  boost::asio::ip::address target_;
  LinkEvents events_;
  datapath::WireguardTunnel tunnel_;
};

}  // namespace sixlink::tunnel
