// SPDX-License-Identifier: BSD-3-Clause
// TUN interfaces on NetBSD: tun(4). An interface outlives its descriptor, so it is created before and
// destroyed after; one of a daemon that was killed stays, down and without addresses. /dev/MAKEDEV makes the
// first few device nodes only.
#include <sys/types.h>
// The rest needs sys/types.h before it.
#include <net/if.h>
#include <net/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "platform/bsd/clone.h"
#include "platform/posix/descriptor.h"
#include "platform/posix/family_tun.h"
#include "platform/posix/unit_name.h"

namespace sixlink::platform {
namespace {

boost::system::result<std::unique_ptr<TunDevice>> open_new(const std::string& name) {
  const auto created = bsd::create_interface(name);
  if (!created) return created.error();
  posix::Descriptor device(::open(("/dev/" + name).c_str(), O_RDWR | O_CLOEXEC));
  int on = 1;
  int mode = IFF_POINTOPOINT | IFF_MULTICAST;  // neighbour discovery needs multicast
  if (!device || !posix::make_private(device) || ::ioctl(device.get(), TUNSIFMODE, &mode) != 0 ||
      ::ioctl(device.get(), TUNSIFHEAD, &on) != 0) {
    const auto error = posix::last_error();
    device.reset();
    bsd::destroy_interface(name);
    return error;
  }
  return std::unique_ptr<TunDevice>(new posix::FamilyTun(name, device.release(), &bsd::destroy_interface));
}

}  // namespace

boost::system::result<std::unique_ptr<TunDevice>> open_tun(const std::string& name) {
  if (name != "tun") {
    if (!posix::unit_of(name, "tun")) return posix::to_error(EINVAL);
    return open_new(name);
  }
  for (unsigned unit = 0; unit < posix::kTriedUnits; ++unit) {
    auto device = open_new("tun" + std::to_string(unit));
    if (device || device.error().value() != EEXIST) return device;
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
      return text + "; there is no device node for it: cd /dev && sh MAKEDEV " +
             (name == "tun" ? "tun4 (and so on)" : name);
    case ENXIO:
    case ENODEV:
      return text + "; the kernel has no TUN driver here: modload if_tun";
    case EINVAL:
      return text +
             "; NetBSD's tunnel interfaces are called tun0, tun1 and so on: choose such a name, or tun for "
             "the " +
             "first free one, in the configuration";
    case EEXIST:
    case EBUSY:
      return text +
             "; another program uses this name: choose another one in the configuration. If none does, a " +
             "killed one left it: ifconfig " + name + " destroy";
    default:
      return text;
  }
}

}  // namespace sixlink::platform
