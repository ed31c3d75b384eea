// SPDX-License-Identifier: BSD-3-Clause
// Raw sockets on the BSDs.
//
// OpenBSD: protocols 4 and 41 never reach a raw socket: the kernel takes the packets of its gif(4) interfaces
// and drops the rest (net.inet.ipip.allow=0) or unpacks them itself (=1). platform/openbsd has its own
// open_raw_tunnel().
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "platform/posix/raw_socket_parts.h"

namespace sixlink::platform {

// IPv6: a sticky IPV6_PKTINFO names source and interface (RFC 3542). IPv4 has nothing of the kind: the
// tunnel's far end is the interface's peer, so that the route leads there, and the source is bound.
boost::system::result<int> open_echo(const boost::asio::ip::address& source,
                                     const boost::asio::ip::address& destination,
                                     const std::string& interface) {
  return posix::open_echo_socket(source, destination, [&](const posix::Descriptor& fd) {
    in6_pktinfo info{};
    info.ipi6_ifindex = ::if_nametoindex(interface.c_str());
    if (info.ipi6_ifindex == 0) return false;  // errno: ENXIO
    if (destination.is_v4()) return true;
    const auto bytes = source.to_v6().to_bytes();
    std::memcpy(&info.ipi6_addr, bytes.data(), bytes.size());
    return ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info) == 0;
  });
}

}  // namespace sixlink::platform
