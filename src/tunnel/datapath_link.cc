// SPDX-License-Identifier: BSD-3-Clause
// A tunnel whose packets this program moves.
#include "src/tunnel/datapath_link.h"

#include "src/net/icmp.h"
#include "src/net/ipv4.h"
#include "src/tunnel/echo_packet.h"

namespace sixlink::tunnel {
namespace {

datapath::Encapsulation encapsulation_of(tsp::Mode mode) {
  switch (mode) {
    case tsp::Mode::kV6V4:
      return datapath::Encapsulation::kIpv6InIpv4;
    case tsp::Mode::kV4V6:
      return datapath::Encapsulation::kIpv4InIpv6;
    default:
      return datapath::Encapsulation::kUdp;
  }
}

datapath::PlainTunnel::Settings settings_of(const TunnelParameters& parameters,
                                            const boost::asio::ip::address& echo_target,
                                            const platform::Offloads& offloads) {
  return {encapsulation_of(parameters.mode),
          datapath::InnerFilter(parameters.client_inner, parameters.prefix, parameters.prefix_v4),
          parameters.mtu, echo_target, offloads};
}

}  // namespace

DatapathLink::DatapathLink(const boost::asio::any_io_executor& executor,
                           std::vector<std::unique_ptr<platform::TunQueue>> queues, int socket,
                           const TunnelParameters& parameters, const boost::asio::ip::address& echo_target,
                           const platform::Offloads& offloads, LinkEvents events)
    : source_(parameters.client_inner),
      target_(echo_target),
      events_(std::move(events)),
      tunnel_(executor, std::move(queues), socket, settings_of(parameters, echo_target, offloads),
              {[this](std::span<const std::uint8_t> packet) {
                 const auto reply = net::parse_echo_reply(packet);
                 if (reply && reply->source == target_ && reply->destination == source_)
                   events_.on_echo_reply(*reply);
               },
               events_.on_outer_error, events_.on_interface_error}) {}

void DatapathLink::send_echo(const EchoMessage& echo) {
  if (target_.is_unspecified()) return;
  tunnel_.send(make_echo_packet(echo, source_, target_).bytes(), echo.packet_size == 0);
}

}  // namespace sixlink::tunnel
