// SPDX-License-Identifier: BSD-3-Clause
// A WireGuard tunnel whose packets this program moves.
#include "src/tunnel/wireguard_link.h"

#include "src/net/icmp.h"
#include "src/tunnel/echo_packet.h"

namespace sixlink::tunnel {
namespace {

datapath::WireguardTunnel::Settings settings_of(const pki::WireguardKeyPair& key,
                                                const TunnelParameters& parameters,
                                                const boost::asio::ip::address& echo_target,
                                                const platform::Offloads& offloads) {
  const auto bytes = key.private_bytes();
  std::optional<net::PrefixV4> own_v4;
  if (parameters.client_inner_v4) own_v4 = net::PrefixV4{*parameters.client_inner_v4, 32};
  return {wireguard::SecretKey(std::span<const std::uint8_t, wireguard::kKeySize>(
              reinterpret_cast<const std::uint8_t*>(bytes.data()), wireguard::kKeySize)),
          parameters.wireguard->key.bytes,
          {parameters.server_outer, parameters.server_port},
          allowed_of(parameters),
          datapath::InnerFilter(parameters.client_inner, parameters.prefix, own_v4),
          parameters.mtu,
          echo_target,
          offloads};
}

}  // namespace

WireguardLink::WireguardLink(const boost::asio::any_io_executor& executor,
                             std::vector<std::unique_ptr<platform::TunQueue>> queues, int socket,
                             const pki::WireguardKeyPair& key, const TunnelParameters& parameters,
                             const boost::asio::ip::address& echo_target, const platform::Offloads& offloads,
                             LinkEvents events)
    : source_(parameters.client_inner),
      target_(echo_target),
      events_(std::move(events)),
      tunnel_(executor, std::move(queues), socket, settings_of(key, parameters, echo_target, offloads),
              {[this](std::span<const std::uint8_t> packet) {
                 const auto reply = net::parse_echo_reply(packet);
                 if (reply && reply->source == target_ && reply->destination == source_)
                   events_.on_echo_reply(*reply);
               },
               events_.on_outer_error, events_.on_interface_error}) {}

void WireguardLink::send_echo(const EchoMessage& echo) {
  if (target_.is_unspecified()) return;
  tunnel_.send(make_echo_packet(echo, source_, target_).bytes(), echo.packet_size == 0);
}

}  // namespace sixlink::tunnel
