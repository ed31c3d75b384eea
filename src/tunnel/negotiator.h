// SPDX-License-Identifier: BSD-3-Clause
// Carries one TSP session (src/tsp/client_session.h) over a real socket: RUDP or TCP, IPv4 or IPv6.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <functional>
#include <optional>
#include <span>

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
  std::optional<tsp::Failure> failure;
  bool is_released = false;  // Purpose::kDelete. One of the three
  std::optional<boost::asio::ip::udp::socket>
      socket;  // RUDP and granted: connected; carries the tunnel's packets from now on
  boost::asio::ip::address local_address;  // of the socket
  std::string method;                      // authentication, as chosen
  std::string version;                     // of TSP
  unsigned round_trips = 0;                // of a failed one too: whether the broker answered at all
};

// Called while a negotiation runs. Messages that carry credentials or could serve to guess them are left out
// of `text`.
struct NegotiationEvents {
  std::function<void(char direction, std::string_view text)> on_message = [](char, std::string_view) {
  };                                                        // '>' sent, '<' received
  std::function<void()> on_plain_despite_stronger = [] {};  // before the password is sent
  // RUDP over a tunnel's own socket: what arrived and is the tunnel's.
  std::function<void(std::span<std::uint8_t>)> on_packet = [](std::span<std::uint8_t>) {};
};

// `profile.transport` and, unless proxy, `profile.request.client_address` are filled in here. Ends early with
// kSocket when the caller's coroutine is cancelled. `socket`: RUDP over one that is connected to the target
// already; what arrives there for the tunnel goes to `events`.
boost::asio::awaitable<Negotiation> negotiate(
    tsp::ClientProfile profile, NegotiationTarget target, NegotiationEvents events,
    std::optional<boost::asio::ip::udp::socket> socket = std::nullopt);

struct DeleteResult {
  bool is_released = false;
  std::string problem;  // for the user, when it is not
};

// Ends the lease at the broker (TSP delete). `profile` and `target` are those that the tunnel was negotiated
// with, with profile.release filled in. `socket` is a v6udpv4 tunnel's own: an anonymous client needs it,
// because the broker knows him by the endpoint. Other anonymous clients go over TCP, whatever the target
// says, because they must show that their address is not forged. Takes 10 s at most.
boost::asio::awaitable<DeleteResult> release_lease(tsp::ClientProfile profile, NegotiationTarget target,
                                                   std::optional<boost::asio::ip::udp::socket> socket);

}  // namespace sixlink::tunnel
