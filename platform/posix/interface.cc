// SPDX-License-Identifier: BSD-3-Clause
// Interfaces by the ioctls that every Unix but SunOS has (platform/sunos/interface.cc).
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "platform/platform.h"

namespace sixlink::platform {
namespace {

boost::system::error_code to_error(int number) {
  return {number, boost::system::system_category()};
}

// Any socket will do for an interface's ioctls.
class ControlSocket {
 public:
  ControlSocket() : fd_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    if (fd_ < 0) fd_ = ::socket(AF_INET6, SOCK_DGRAM, 0);
  }
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;
  ~ControlSocket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

boost::system::error_code control(unsigned long command, const std::string& name, ifreq& request) {
  if (name.size() >= sizeof request.ifr_name) return to_error(ENODEV);
  std::memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  const ControlSocket socket;
  if (socket.fd() < 0 || ::ioctl(socket.fd(), command, &request) != 0) return to_error(errno);
  return {};
}

}  // namespace

boost::system::result<int> interface_mtu(const std::string& name) {
  ifreq request{};
  if (const auto error = control(SIOCGIFMTU, name, request)) return error;
  return request.ifr_mtu;
}

boost::system::error_code set_interface_mtu(const std::string& name, int mtu) {
  ifreq request{};
  request.ifr_mtu = mtu;
  return control(SIOCSIFMTU, name, request);
}

std::optional<boost::asio::ip::address> source_towards(const boost::asio::ip::address& destination) {
  // Connecting a datagram socket sends nothing: the kernel looks its route up.
  boost::asio::ip::udp::endpoint endpoint(destination, 9);
  const int fd = ::socket(destination.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
  if (fd < 0) return std::nullopt;
  auto size = static_cast<socklen_t>(endpoint.size());
  std::optional<boost::asio::ip::address> source;
  if (::connect(fd, endpoint.data(), size) == 0) {
    boost::asio::ip::udp::endpoint local;
    size = static_cast<socklen_t>(local.capacity());
    if (::getsockname(fd, local.data(), &size) == 0) {
      local.resize(size);
      source = local.address();
    }
  }
  ::close(fd);
  return source;
}

std::string network_state(const std::string& ignored) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::set<std::string> lines;
  for (const auto* entry = list; entry; entry = entry->ifa_next) {
    if ((entry->ifa_flags & IFF_LOOPBACK) != 0 || ignored == entry->ifa_name || !entry->ifa_addr) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    boost::asio::ip::udp::endpoint endpoint;
    const auto size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    std::memcpy(endpoint.data(), entry->ifa_addr, size);
    endpoint.resize(size);
    const auto address = endpoint.address();
    if (address.is_v6() && address.to_v6().is_link_local()) continue;
    const bool is_up = (entry->ifa_flags & IFF_UP) != 0 && (entry->ifa_flags & IFF_RUNNING) != 0;
    lines.insert(std::string(entry->ifa_name) + (is_up ? " up " : " down ") + address.to_string());
  }
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

}  // namespace sixlink::platform
