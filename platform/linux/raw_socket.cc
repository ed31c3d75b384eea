// SPDX-License-Identifier: BSD-3-Clause
// Raw sockets: tunnels without UDP, and echoes through an interface of the kernel's.
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/icmp.hpp>
#include <cerrno>

#include "platform/platform.h"

namespace sixlink::platform {
namespace {

using boost::asio::ip::address;

boost::system::error_code to_error(int number) {
  return {number, boost::system::system_category()};
}

// raw(7). linux/icmp.h has both, but cannot stand beside net/if.h.
struct IcmpFilter {
  std::uint32_t blocked;
};
constexpr int kIcmpFilter = 1;

// Closes unless released.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

using Endpoint = boost::asio::ip::icmp::endpoint;  // any endpoint class makes the sockaddr

bool bind_to(int fd, const address& local) {
  if (local.is_unspecified()) return true;
  const Endpoint endpoint(local, 0);
  return ::bind(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0;
}

bool connect_to(int fd, const address& remote) {
  const Endpoint endpoint(remote, 0);
  return ::connect(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0;
}

}  // namespace

boost::system::result<int> open_raw_tunnel(RawTunnel kind, const address& local, const address& remote) {
  const bool is_v4 = kind == RawTunnel::kIpv6InIpv4;
  Descriptor fd(::socket(is_v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
                         is_v4 ? IPPROTO_IPV6 : IPPROTO_IPIP));
  if (fd.get() < 0 || !bind_to(fd.get(), local)) return to_error(errno);
  if (remote.is_unspecified()) {
    if (const auto error = enable_packet_info(fd.get(), !is_v4)) return error;
  } else if (!connect_to(fd.get(), remote)) {
    return to_error(errno);
  }
  return fd.release();
}

boost::system::result<int> open_echo(const address& source, const address& destination,
                                     const std::string& interface) {
  const bool is_v4 = destination.is_v4();
  Descriptor fd(::socket(is_v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
                         is_v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6)));
  if (fd.get() < 0) return to_error(errno);
  int result;
  if (is_v4) {
    const IcmpFilter filter{~(1U << ICMP_ECHOREPLY)};
    result = ::setsockopt(fd.get(), SOL_RAW, kIcmpFilter, &filter, sizeof filter);
  } else {
    icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
    result = ::setsockopt(fd.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
  }
  if (result != 0 ||
      ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.data(),
                   static_cast<socklen_t>(interface.size())) != 0 ||
      !bind_to(fd.get(), source) || !connect_to(fd.get(), destination)) {
    return to_error(errno);
  }
  return fd.release();
}

}  // namespace sixlink::platform
