// SPDX-License-Identifier: BSD-3-Clause
// Interfaces up and down by the ioctls that every Unix has.
#include "platform/interface_state.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "platform/posix/descriptor.h"

namespace sixlink::platform {

boost::system::error_code set_interface_up(const std::string& name, bool is_up) {
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) return posix::to_error(ENODEV);
  std::memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  const posix::Descriptor socket(::socket(AF_INET6, SOCK_DGRAM, 0));
  if (!socket || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0)
    return posix::to_error(errno == ENXIO ? ENODEV : errno);
  const auto flags = is_up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP;
  request.ifr_flags = static_cast<decltype(request.ifr_flags)>(flags);
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return posix::last_error();
  return {};
}

}  // namespace sixlink::platform
