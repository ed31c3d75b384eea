// SPDX-License-Identifier: BSD-3-Clause
// TUN interfaces on OpenBSD: tun(4). Opening /dev/tunN creates the interface, closing it destroys it, and
// every packet has its address family before it. /dev/MAKEDEV makes the first few device nodes only.
#include <sys/types.h>
// The rest needs sys/types.h before it.
#include <net/if.h>
#include <sys/socket.h>

#include "platform/posix/descriptor.h"
#include "platform/posix/family_tun.h"
#include "platform/posix/unit_name.h"

namespace sixlink::platform {
namespace {

boost::system::result<std::unique_ptr<TunDevice>> open_new(const std::string& name) {
  // One that exists was made by ifconfig, and would stay.
  if (::if_nametoindex(name.c_str()) != 0) return posix::to_error(EEXIST);
  posix::Descriptor device(::open(("/dev/" + name).c_str(), O_RDWR | O_CLOEXEC));
  if (!device || !posix::make_private(device)) return posix::last_error();
  return std::unique_ptr<TunDevice>(new posix::FamilyTun(name, device.release()));
}

}  // namespace

boost::system::result<std::unique_ptr<TunDevice>> open_tun(const std::string& name) {
  if (name != "tun") {
    if (!posix::unit_of(name, "tun")) return posix::to_error(EINVAL);
    return open_new(name);
  }
  for (unsigned unit = 0; unit < posix::kTriedUnits; ++unit) {
    auto device = open_new("tun" + std::to_string(unit));
    // EBUSY: opened by another since the look.
    if (device || (device.error().value() != EEXIST && device.error().value() != EBUSY)) return device;
  }
  return posix::to_error(EBUSY);
}

std::string explain_tun_error(const std::string& name, const boost::system::error_code& error) {
  std::string text = "cannot create the tunnel interface " + name + ": " + error.message();
  switch (error.value()) {
    case EPERM:
    case EACCES:
      return text + "; run as root";
    case ENOENT:
    case ENXIO:
      return text + "; there is no device node for it: cd /dev && sh MAKEDEV " +
             (name == "tun" ? "tun4 (and so on)" : name);
    case EINVAL:
      return text +
             "; OpenBSD's tunnel interfaces are called tun0, tun1 and so on: choose such a name, or tun "
             "for " +
             "the first free one, in the configuration";
    case EEXIST:
    case EBUSY:
      return text + "; another program uses this name: choose another one in the configuration";
    default:
      return text;
  }
}

}  // namespace sixlink::platform
