// SPDX-License-Identifier: BSD-3-Clause
// In which order a broker's addresses and transports are tried.
#include "src/client/candidates.h"

namespace sixlink::client {
namespace {

using boost::asio::ip::address;

// client_v4 and client_v6: the address to bind to; "auto" leaves it to the kernel.
std::optional<address> source(const Config& config, bool is_v6) {
  if (config.proxy_client) return std::nullopt;  // they are the other machine's
  boost::system::error_code error;
  const auto configured = boost::asio::ip::make_address(is_v6 ? config.client_v6 : config.client_v4, error);
  if (error || configured.is_v6() != is_v6) return std::nullopt;
  return configured;
}

}  // namespace

std::vector<tunnel::NegotiationTarget> candidates(const Config& config, const std::vector<address>& addresses,
                                                  std::uint16_t port) {
  std::vector<tunnel::NegotiationTarget> targets;
  const auto add = [&](bool is_v6, tsp::Transport transport) {
    for (const auto& candidate : addresses) {
      if (candidate.is_v6() == is_v6) targets.push_back({candidate, port, transport, source(config, is_v6)});
    }
  };
  const bool udp_only =
      config.tunnel_mode == TunnelMode::kV6UdpV4 || config.tunnel_mode == TunnelMode::kWireguard;
  for (const bool is_v6 : {false, true}) {
    if (!is_v6 && config.tunnel_mode == TunnelMode::kV4V6) continue;
    add(is_v6, tsp::Transport::kRudp);
    if (!udp_only) add(is_v6, tsp::Transport::kTcp);
  }
  return targets;
}

bool is_worth_another_address(tsp::FailureKind kind) {
  switch (kind) {
    case tsp::FailureKind::kNoAnswer:
    case tsp::FailureKind::kSocket:
    case tsp::FailureKind::kClientAddress:
    case tsp::FailureKind::kBusy:
    case tsp::FailureKind::kBadReply:
      return true;
    default:
      return false;
  }
}

int significance(tsp::FailureKind kind) {
  switch (kind) {
    case tsp::FailureKind::kNoAnswer:
      return 0;
    case tsp::FailureKind::kSocket:
      return 1;
    case tsp::FailureKind::kClientAddress:
      return 2;
    case tsp::FailureKind::kBadReply:
      return 3;
    case tsp::FailureKind::kBusy:
      return 4;
    // The broker that it leads to may have more to tell.
    case tsp::FailureKind::kRedirect:
      return 5;
    default:
      return 6;
  }
}

}  // namespace sixlink::client
