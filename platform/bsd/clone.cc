// SPDX-License-Identifier: BSD-3-Clause
// SIOCIFCREATE and SIOCIFDESTROY.
#include "platform/bsd/clone.h"

#include <sys/types.h>
// The rest needs sys/types.h before it.
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "platform/posix/descriptor.h"

namespace sixlink::platform::bsd {
namespace {

boost::system::error_code request(unsigned long command, const std::string& name, ifreq& interface) {
  if (name.size() >= sizeof interface.ifr_name) return posix::to_error(ENAMETOOLONG);
  std::memcpy(interface.ifr_name, name.c_str(), name.size() + 1);
  // Any socket will do, and a kernel may lack either family.
  posix::Descriptor socket(::socket(AF_INET, SOCK_DGRAM, 0));
  if (!socket) socket.reset(::socket(AF_INET6, SOCK_DGRAM, 0));
  if (!socket || ::ioctl(socket.get(), command, &interface) != 0) return posix::last_error();
  return {};
}

}  // namespace

boost::system::result<std::string> create_interface(const std::string& name) {
  ifreq interface {};
  if (const auto error = request(SIOCIFCREATE, name, interface)) return error;
  return std::string(interface.ifr_name);
}

void destroy_interface(const std::string& name) {
  ifreq interface {};
  request(SIOCIFDESTROY, name, interface);
}

}  // namespace sixlink::platform::bsd
