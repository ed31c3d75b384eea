// SPDX-License-Identifier: BSD-3-Clause
// A datagram that probes the path's MTU: ip(7) and ipv6(7), IP_MTU_DISCOVER.
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "platform/platform.h"

namespace sixlink::platform {
namespace {

bool set_discovery(int fd, int family, int how) {
  return family == AF_INET6 ? ::setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &how, sizeof how) == 0
                            : ::setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof how) == 0;
}

}  // namespace

boost::system::error_code send_unfragmented(int fd, std::span<const std::uint8_t> datagram) {
  int family = 0;
  socklen_t size = sizeof family;
  // Probing: the packet is as large as asked, and what the kernel has learnt of the path does not count. Only
  // for this packet: the tunnel's own may be fragmented rather than lost.
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0 ||
      !set_discovery(fd, family, IP_PMTUDISC_PROBE)) {
    return {errno, boost::system::system_category()};
  }
  const auto error = send_one(fd, datagram);
  set_discovery(fd, family, IP_PMTUDISC_WANT);
  return error;
}

}  // namespace sixlink::platform
