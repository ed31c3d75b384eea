// SPDX-License-Identifier: BSD-3-Clause
// TUN interfaces on FreeBSD: tun(4).
//
// The interface is created first (SIOCIFCREATE) and opened then: /dev/tun would hand out an existing
// interface that nobody has open, which is not ours. It goes with its descriptor where the kernel can do that
// (TUNSTRANSIENT, FreeBSD 15); before, it is destroyed after the descriptor was closed, and one of a daemon
// that was killed stays, down and without addresses.
#include <sys/types.h>
// The rest needs sys/types.h before it.
#include <net/if.h>
#include <net/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "platform/bsd/clone.h"
#include "platform/posix/descriptor.h"
#include "platform/posix/family_tun.h"
#include "platform/posix/unit_name.h"

namespace sixlink::platform {
namespace {

// Destroys the interface unless it is kept.
class NewInterface {
 public:
  explicit NewInterface(std::string name) : name_(std::move(name)) {}
  NewInterface(const NewInterface&) = delete;
  NewInterface& operator=(const NewInterface&) = delete;
  ~NewInterface() {
    device_.reset();  // a tun(4) that is open cannot be destroyed
    if (!name_.empty()) bsd::destroy_interface(name_);
  }

  boost::system::error_code open() {
    device_.reset(::open(("/dev/" + name_).c_str(), O_RDWR | O_CLOEXEC));
    if (!device_ || !posix::make_private(device_)) return posix::last_error();
    int on = 1;
    int mode = IFF_POINTOPOINT | IFF_MULTICAST;  // neighbour discovery needs multicast
    if (::ioctl(device_.get(), TUNSIFMODE, &mode) != 0 || ::ioctl(device_.get(), TUNSIFHEAD, &on) != 0)
      return posix::last_error();
    ::ioctl(device_.get(), TUNSIFPID);  // for ifconfig to show
#ifdef TUNSTRANSIENT
    ::ioctl(device_.get(), TUNSTRANSIENT, &on);  // an older kernel does not know it
#endif
    return {};
  }

  boost::system::error_code rename(const std::string& to) {
    if (to == name_) return {};
    const posix::Descriptor socket(::socket(AF_INET, SOCK_DGRAM, 0));
    ifreq request{};
    std::string wanted = to;
    std::memcpy(request.ifr_name, name_.c_str(), name_.size() + 1);
    request.ifr_data = wanted.data();
    if (!socket || ::ioctl(socket.get(), SIOCSIFNAME, &request) != 0) return posix::last_error();
    name_ = to;
    return {};
  }

  std::unique_ptr<TunDevice> keep() {
    const std::string name = std::exchange(name_, {});
    return std::make_unique<posix::FamilyTun>(name, device_.release(), &bsd::destroy_interface);
  }
  const std::string& name() const {
    return name_;
  }

 private:
  std::string name_;
  posix::Descriptor device_;
};

}  // namespace

boost::system::result<std::unique_ptr<TunDevice>> open_tun(const std::string& name) {
  if (name.size() >= IFNAMSIZ) return posix::to_error(ENAMETOOLONG);
  const bool is_any = name == "tun";
  if (!is_any && ::if_nametoindex(name.c_str()) != 0) return posix::to_error(EEXIST);
  const auto created = bsd::create_interface(posix::unit_of(name, "tun") ? name : "tun");
  if (!created) return created.error();
  NewInterface interface(*created);
  if (const auto error = interface.open()) return error;
  if (const auto error = interface.rename(is_any ? interface.name() : name)) return error;
  return interface.keep();
}

std::string explain_tun_error(const std::string& name, const boost::system::error_code& error) {
  std::string text = "cannot create the tunnel interface " + name + ": " + error.message();
  switch (error.value()) {
    case EPERM:
    case EACCES:
      return text + "; run as root (in a jail, it needs vnet and a devfs rule that shows /dev/tun*)";
    case ENOENT:
    case ENXIO:
    case EINVAL:
      return text + "; the kernel has no TUN driver here: kldload if_tuntap";
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
