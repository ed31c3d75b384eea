// SPDX-License-Identifier: BSD-3-Clause
// An interface's MTU by the ioctls that every Unix but SunOS has (platform/sunos/interface.cc).
#include <net/if.h>
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

}  // namespace sixlink::platform
