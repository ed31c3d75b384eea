// SPDX-License-Identifier: BSD-3-Clause
// Raw sockets; for echoes the route's interface is chosen by IP_BOUND_IF and IPV6_BOUND_IF (netinet/in.h).
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "platform/posix/raw_socket_parts.h"

namespace sixlink::platform {

boost::system::result<int> open_raw_tunnel(RawTunnel kind, const boost::asio::ip::address& local,
                                           const boost::asio::ip::address& remote) {
  return posix::open_raw_tunnel_socket(kind, local, remote);
}

boost::system::result<int> open_echo(const boost::asio::ip::address& source,
                                     const boost::asio::ip::address& destination,
                                     const std::string& interface) {
  return posix::open_echo_socket(source, destination, [&](const posix::Descriptor& fd) {
    const unsigned index = ::if_nametoindex(interface.c_str());
    if (index == 0) return false;  // errno: ENXIO
    return (destination.is_v4()
                ? ::setsockopt(fd.get(), IPPROTO_IP, IP_BOUND_IF, &index, sizeof index)
                : ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_BOUND_IF, &index, sizeof index)) == 0;
  });
}

}  // namespace sixlink::platform
