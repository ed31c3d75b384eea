// SPDX-License-Identifier: BSD-3-Clause
// In which order a broker's addresses and transports are tried. Pure: addresses in, targets out.
#pragma once

#include <vector>

#include "src/client/config.h"
#include "src/tunnel/negotiator.h"

namespace sixlink::client {

// RUDP before TCP over IPv4, then the same over IPv6 (v4v6: IPv6 only); v6udpv4 by RUDP only. Within a
// transport the resolver's order, so that one dead address costs its time once before the living ones are
// tried.
std::vector<tunnel::NegotiationTarget> candidates(const Config& config,
                                                  const std::vector<boost::asio::ip::address>& addresses,
                                                  std::uint16_t port);

// Another address or transport of the same broker may succeed where this failed.
bool is_worth_another_address(tsp::FailureKind kind);
// Which of two failures tells the user more; the higher one is reported.
int significance(tsp::FailureKind kind);

}  // namespace sixlink::client
