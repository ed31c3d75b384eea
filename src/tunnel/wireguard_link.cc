// SPDX-License-Identifier: BSD-3-Clause
// A WireGuard tunnel whose packets this program moves.
#include "src/tunnel/wireguard_link.h"

#include "src/net/icmp.h"
#include "src/net/icmpv6.h"
#include "src/tunnel/echo_packet.h"

namespace sixlink::tunnel {
namespace {

datapath::WireguardTunnel::Settings settings_of(const pki::WireguardKeyPair& key,
                                                const TunnelParameters& parameters) {
  const auto bytes = key.private_bytes();
  std::optional<net::PrefixV4> own_v4;
  if (parameters.client_inner_v4) own_v4 = net::PrefixV4{*parameters.client_inner_v4, 32};
  return {wireguard::SecretKey(std::span<const std::uint8_t, wireguard::kKeySize>(
              reinterpret_cast<const std::uint8_t*>(bytes.data()), wireguard::kKeySize)),
          parameters.wireguard->key.bytes,
          {parameters.server_outer, parameters.server_port},
          allowed_of(parameters),
          datapath::InnerFilter(parameters.client_inner, parameters.prefix, own_v4),
          parameters.mtu};
}

}  // namespace

WireguardLink::WireguardLink(const boost::asio::any_io_executor& executor,
                             std::unique_ptr<platform::TunDevice> tun, int socket,
                             const pki::WireguardKeyPair& key, const TunnelParameters& parameters,
                             const boost::asio::ip::address& echo_target, LinkEvents events)
    : source_(parameters.client_inner),
      target_(echo_target),
      events_(std::move(events)),
      tunnel_(executor, std::move(tun), socket, settings_of(key, parameters),
              {[this](const net::IpHeader& header, std::span<const std::uint8_t> packet) {
                 if (header.next_header != net::kNextHeaderIcmpv6 || header.source != target_ ||
                     header.destination != source_)
                   return;
                 if (const auto reply = net::parse_echo_reply(packet)) events_.on_echo_reply(*reply);
               },
               events_.on_outer_error, events_.on_interface_error}) {}

void WireguardLink::send_echo(const EchoMessage& echo) {
  if (target_.is_unspecified()) return;
  tunnel_.send(make_echo_packet(echo, source_, target_).bytes(), echo.packet_size == 0);
}

}  // namespace sixlink::tunnel
