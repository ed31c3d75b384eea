// SPDX-License-Identifier: BSD-3-Clause
// What a machine knows of the network around it, and sockets as the mesh needs them. Implemented as
// platform/platform.h is.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/system/result.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sixlink::platform {

// Link-local IPv6 addresses have their scope.
struct InterfaceAddress {
  std::string interface;
  boost::asio::ip::address address;
  bool is_up = false;  // and running: it has a carrier
  bool is_loopback = false;
  bool is_point_to_point = false;
};
std::vector<InterfaceAddress> interface_addresses();

// The router that IPv4 packets to the Internet go to now. nullopt: there is none, or the system cannot tell.
struct DefaultGateway {
  boost::asio::ip::address address;
  std::string interface;
};
std::optional<DefaultGateway> default_gateway();

// Two UDP sockets on the loopback interface, connected with each other: nobody else's datagrams get in.
// Neither blocks. Whoever sends after the other was closed gets ECONNREFUSED.
boost::system::result<std::pair<int, int>> open_loopback_pair();

// For a TCP connection that carries datagrams: nothing is held back to be sent with what follows, little
// waits in the kernel before it is sent (where the system can bound that), and an end that is gone is found.
void prepare_datagram_stream(int fd);

}  // namespace sixlink::platform
