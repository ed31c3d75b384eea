// SPDX-License-Identifier: BSD-3-Clause
// Echo requests with a hop limit, over a raw ICMPv6 socket (RFC 3542 sections 3 and 6.3).
#include <sys/types.h>
// The rest needs sys/types.h before it on OpenBSD.
#include <netinet/in.h>
// After netinet/in.h everywhere.
#include <netinet/icmp6.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "platform/overlay.h"
#include "platform/posix/descriptor.h"

namespace sixlink::platform {
namespace {

using posix::last_error;

sockaddr_in6 socket_address(const net::AddressV6& address) {
  sockaddr_in6 result{};
  result.sin6_family = AF_INET6;
  const auto bytes = address.to_bytes();
  std::memcpy(&result.sin6_addr, bytes.data(), bytes.size());
  return result;
}

}  // namespace

boost::system::result<int> open_hop_probe(const net::AddressV6& source) {
  posix::Descriptor socket(::socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  if (!socket || !posix::make_private(socket)) return last_error();
  icmp6_filter filter;
  ICMP6_FILTER_SETBLOCKALL(&filter);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
  ICMP6_FILTER_SETPASS(ICMP6_TIME_EXCEEDED, &filter);
  ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &filter);
  if (::setsockopt(socket.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) != 0)
    return last_error();
  const auto local = socket_address(source);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) return last_error();
  return socket.release();
}

boost::system::error_code send_hop_probe(int socket, const net::AddressV6& destination, int hop_limit,
                                         std::span<const std::uint8_t> message) {
  if (::setsockopt(socket, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hop_limit, sizeof hop_limit) != 0)
    return last_error();
  const auto to = socket_address(destination);
  if (::sendto(socket, message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) <
      0)
    return last_error();
  return {};
}

std::optional<HopAnswer> receive_hop_answer(int socket) {
  std::array<std::uint8_t, 2048> buffer;
  sockaddr_in6 from{};
  socklen_t length = sizeof from;
  const auto size =
      ::recvfrom(socket, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
  if (size < 0) return std::nullopt;
  net::AddressV6::bytes_type bytes;
  std::memcpy(bytes.data(), &from.sin6_addr, bytes.size());
  return HopAnswer{net::AddressV6(bytes), {buffer.begin(), buffer.begin() + size}};
}

}  // namespace sixlink::platform
