// SPDX-License-Identifier: BSD-3-Clause
// Interfaces as every Unix shows them: getifaddrs and the SIOC ioctls.
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

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

bool is_address(const sockaddr* address, const boost::asio::ip::address& wanted) {
  if (!address) return false;
  if (wanted.is_v4() && address->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof v4);
    return ntohl(v4.sin_addr.s_addr) == wanted.to_v4().to_uint();
  }
  if (wanted.is_v6() && address->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address, sizeof v6);
    const auto bytes = wanted.to_v6().to_bytes();
    return std::memcmp(&v6.sin6_addr, bytes.data(), bytes.size()) == 0;
  }
  return false;
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

std::optional<int> mtu_of_address(const boost::asio::ip::address& address) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  for (const auto* entry = list; entry; entry = entry->ifa_next) {
    if (!is_address(entry->ifa_addr, address)) continue;
    const auto mtu = interface_mtu(entry->ifa_name);
    return mtu ? std::optional(*mtu) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace sixlink::platform
