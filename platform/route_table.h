// SPDX-License-Identifier: BSD-3-Clause
// Routing tables of the kernel's that are this program's own, and what a routing program that was killed left
// in others; and which router a destination is behind. Implemented for Linux; elsewhere all of it answers
// operation_not_supported, and no router is known.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/network.h"

namespace sixlink::platform {

// Protocol numbers of routes (rtm_protocol).
inline constexpr int kRouteProtocolStatic = 4;
inline constexpr int kRouteProtocolBabel = 42;

// A route of the type "unreachable", of the protocol kRouteProtocolStatic: in a table that no rule looks into
// it does nothing, but routing programs find it there. One that exists already is no error.
boost::system::error_code add_unreachable_route(unsigned table, const boost::asio::ip::address& destination,
                                                int prefix_length);
// One that does not exist is no error.
boost::system::error_code remove_unreachable_route(unsigned table,
                                                   const boost::asio::ip::address& destination,
                                                   int prefix_length);

struct RouteSelector {
  unsigned table = 0;
  int protocol = 0;
  // The kernel's metric (priority); both included.
  std::uint32_t lowest_metric = 0;
  std::uint32_t highest_metric = UINT32_MAX;
};
// Removes all of them, of IPv6 and IPv4. Their number.
boost::system::result<std::size_t> remove_routes(const RouteSelector& selector);

// Copies of all routes of that protocol into an interface, of IPv6 and IPv4, in the same tables but behind
// every other route: packets take them when the routing program has removed its own and has none in their
// place. They go with the interface. The IPv6 gateways of the copied.
boost::system::result<std::vector<boost::asio::ip::address_v6>> keep_routes(const std::string& interface,
                                                                            int protocol);

// The router that IPv6 packets to `destination` go to first, a link-local one with its scope. nullopt: there
// is no way there, no router on it, or the system cannot tell.
std::optional<DefaultGateway> gateway_towards(const boost::asio::ip::address_v6& destination);

}  // namespace sixlink::platform
