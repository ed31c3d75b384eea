// SPDX-License-Identifier: BSD-3-Clause
// Carries one TSP session (src/tsp/client_session.h) over a real socket: RUDP or TCP, IPv4 or IPv6.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <functional>
#include <optional>

#include "src/tsp/client_session.h"

namespace sixlink::tunnel {

struct NegotiationTarget {
  boost::asio::ip::address address;
  std::uint16_t port = net::kTspPort;
  tsp::Transport transport = tsp::Transport::kRudp;
  std::optional<boost::asio::ip::address> source;  // client_v4, client_v6: bind there
};

struct Negotiation {
  std::optional<tsp::TunnelInfo> tunnel;
  std::optional<tsp::Failure> failure;  // one of the two
  std::optional<boost::asio::ip::udp::socket>
      socket;  // RUDP and granted: connected; carries the tunnel's packets from now on
  boost::asio::ip::address local_address;  // of the socket
  std::string method;                      // authentication, as chosen
  unsigned round_trips = 0;
};

// Called while a negotiation runs. Messages that carry credentials or could serve to guess them are left out
// of `text`.
struct NegotiationEvents {
  std::function<void(char direction, std::string_view text)> on_message = [](char, std::string_view) {
  };                                                        // '>' sent, '<' received
  std::function<void()> on_plain_despite_stronger = [] {};  // before the password is sent
};

// `profile.transport` and, unless proxy, `profile.request.client_address` are filled in here. Ends early with
// kSocket when the caller's coroutine is cancelled.
boost::asio::awaitable<Negotiation> negotiate(tsp::ClientProfile profile, NegotiationTarget target,
                                              NegotiationEvents events);

}  // namespace sixlink::tunnel
