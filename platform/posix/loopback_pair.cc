// SPDX-License-Identifier: BSD-3-Clause
// Connected UDP sockets on the loopback interface, and TCP options.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/ip/udp.hpp>

#include "platform/network.h"
#include "platform/posix/descriptor.h"

namespace sixlink::platform {
namespace {

using boost::asio::ip::udp;
using posix::Descriptor;

// Bound to a free port; `local` is told.
Descriptor open_bound(const boost::asio::ip::address& loopback, udp::endpoint& local) {
  Descriptor socket(::socket(loopback.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM, 0));
  if (!socket || !posix::make_private(socket)) return {};
  const udp::endpoint any(loopback, 0);
  auto size = static_cast<socklen_t>(local.capacity());
  if (::bind(socket.get(), any.data(), static_cast<socklen_t>(any.size())) != 0 ||
      ::getsockname(socket.get(), local.data(), &size) != 0) {
    return {};
  }
  local.resize(size);
  return socket;
}

bool connect_to(const Descriptor& socket, const udp::endpoint& peer) {
  if (::connect(socket.get(), peer.data(), static_cast<socklen_t>(peer.size())) != 0) return false;
  // What somebody else sent before the connection.
  std::array<char, 1> byte;
  while (::recv(socket.get(), byte.data(), byte.size(), 0) >= 0) {
  }
  return true;
}

void set(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

}  // namespace

boost::system::result<std::pair<int, int>> open_loopback_pair() {
  boost::system::error_code error;
  for (const char* loopback : {"127.0.0.1", "::1"}) {
    const auto address = boost::asio::ip::make_address(loopback);
    udp::endpoint first_address;
    udp::endpoint second_address;
    auto first = open_bound(address, first_address);
    auto second = first ? open_bound(address, second_address) : Descriptor();
    if (second && connect_to(first, second_address) && connect_to(second, first_address))
      return std::pair(first.release(), second.release());
    if (!error) error = posix::last_error();
  }
  return error;
}

void prepare_datagram_stream(int fd) {
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  // A datagram that waits is late: better that the next one is dropped before it gets here.
#ifdef TCP_NOTSENT_LOWAT
  constexpr int kUnsent = 65536;
  set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsent);
#endif
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 20);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
#endif
#ifdef TCP_USER_TIMEOUT
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 20000);  // milliseconds that what was sent is not confirmed
#endif
}

}  // namespace sixlink::platform
