// SPDX-License-Identifier: BSD-3-Clause
// Raw sockets by POSIX and RFC 3542 alone.
#include "platform/posix/raw_socket_parts.h"

#include <netinet/in.h>
// The rest needs netinet/in.h before it on the BSDs.
#include <netinet/icmp6.h>
#include <sys/socket.h>

#include <boost/asio/ip/icmp.hpp>

namespace sixlink::platform::posix {
namespace {

using boost::asio::ip::address;
using Endpoint = boost::asio::ip::icmp::endpoint;  // any endpoint class makes the sockaddr

// Names differ (IPPROTO_IPIP, IPPROTO_IPV4, IPPROTO_ENCAP), the number is IANA's.
constexpr int kIpv4InIpv6 = 4;

bool bind_to(const Descriptor& fd, const address& local) {
  if (local.is_unspecified()) return true;
  const Endpoint endpoint(local, 0);
  return ::bind(fd.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0;
}

bool connect_to(const Descriptor& fd, const address& remote) {
  const Endpoint endpoint(remote, 0);
  return ::connect(fd.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0;
}

}  // namespace

boost::system::result<int> open_raw_tunnel_socket(RawTunnel kind, const address& local,
                                                  const address& remote) {
  const bool is_v4 = kind == RawTunnel::kIpv6InIpv4;
  Descriptor fd(
      ::socket(is_v4 ? AF_INET : AF_INET6, SOCK_RAW, is_v4 ? static_cast<int>(IPPROTO_IPV6) : kIpv4InIpv6));
  if (!fd || !make_private(fd) || !bind_to(fd, local)) return last_error();
  if (remote.is_unspecified()) {
    if (const auto error = enable_packet_info(fd.get(), !is_v4)) return error;
  } else if (!connect_to(fd, remote)) {
    return last_error();
  }
  return fd.release();
}

boost::system::result<int> open_echo_socket(const address& source, const address& destination,
                                            const std::function<bool(const Descriptor&)>& send_through) {
  const bool is_v4 = destination.is_v4();
  Descriptor fd(::socket(is_v4 ? AF_INET : AF_INET6, SOCK_RAW,
                         is_v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6)));
  if (!fd || !make_private(fd)) return last_error();
  if (!is_v4) {
    icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
    if (::setsockopt(fd.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) != 0)
      return last_error();
  }
  if (!send_through(fd) || !bind_to(fd, source) || !connect_to(fd, destination)) return last_error();
  return fd.release();
}

}  // namespace sixlink::platform::posix
