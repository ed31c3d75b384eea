// SPDX-License-Identifier: BSD-3-Clause
// Path MTUs of tunnels in IPv6. Linux takes note of an ICMPv6 "packet too big" for a raw socket only when
// that is connected or asks for errors (rawv6_err()), and notes it for all sockets. On the socket that
// carries the packets every ICMPv6 error, also a forged one, would then fail somebody's next packet: another
// one asks for them.
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/icmp.hpp>
#include <cerrno>

#include "platform/platform.h"

namespace sixlink::platform {

boost::system::result<int> watch_path_mtu(RawTunnel kind, const boost::asio::ip::address& local) {
  // IPv4 does it for every raw socket (raw_err()).
  if (kind != RawTunnel::kIpv4InIpv6)
    return boost::system::errc::make_error_code(boost::system::errc::operation_not_supported);
  const int fd = ::socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_IPIP);
  if (fd < 0) return boost::system::error_code(errno, boost::system::system_category());
  sock_filter accept_nothing = {BPF_RET | BPF_K, 0, 0, 0};
  const sock_fprog program = {1, &accept_nothing};
  const int on = 1;
  const int least = 1;  // errors wait unread: the kernel rounds up to what bounds them to a few
  const boost::asio::ip::icmp::endpoint endpoint(local, 0);
  const bool is_ready =
      ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 &&
      ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least) == 0 &&
      ::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on) == 0 &&
      (local.is_unspecified() || ::bind(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0);
  if (is_ready) return fd;
  const boost::system::error_code error(errno, boost::system::system_category());
  ::close(fd);
  return error;
}

}  // namespace sixlink::platform
