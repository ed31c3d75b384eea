// SPDX-License-Identifier: BSD-3-Clause
// TUN interfaces on Darwin: utun, a kernel control (sys/kern_control.h, net/if_utun.h). The interface lives
// as long as the socket.
#include <net/if_utun.h>
#include <sys/ioctl.h>
#include <sys/kern_control.h>
#include <sys/socket.h>
#include <sys/sys_domain.h>

#include <array>
#include <cstring>

#include "platform/posix/descriptor.h"
#include "platform/posix/family_tun.h"
#include "platform/posix/unit_name.h"

namespace sixlink::platform {
namespace {

// sc_unit: 0 takes the first free utun, N+1 takes utunN. nullopt: no name that this system can have.
std::optional<std::uint32_t> control_unit(const std::string& name) {
  if (name == "tun" || name == "utun") return 0;
  const auto unit = posix::unit_of(name, "utun");
  return unit ? std::optional<std::uint32_t>(*unit + 1) : std::nullopt;
}

}  // namespace

boost::system::result<std::unique_ptr<TunDevice>> open_tun(const std::string& name) {
  const auto unit = control_unit(name);
  if (!unit) return posix::to_error(EINVAL);
  posix::Descriptor control(::socket(PF_SYSTEM, SOCK_DGRAM, SYSPROTO_CONTROL));
  ctl_info info{};
  static_assert(sizeof UTUN_CONTROL_NAME <= sizeof info.ctl_name);
  std::memcpy(info.ctl_name, UTUN_CONTROL_NAME, sizeof UTUN_CONTROL_NAME);
  if (!control || ::ioctl(control.get(), CTLIOCGINFO, &info) != 0) return posix::last_error();
  sockaddr_ctl address{};
  address.sc_len = sizeof address;
  address.sc_family = AF_SYSTEM;
  address.ss_sysaddr = AF_SYS_CONTROL;
  address.sc_id = info.ctl_id;
  address.sc_unit = *unit;
  if (::connect(control.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return posix::last_error();
  std::array<char, 64> made{};
  auto size = static_cast<socklen_t>(made.size() - 1);
  if (::getsockopt(control.get(), SYSPROTO_CONTROL, UTUN_OPT_IFNAME, made.data(), &size) != 0 ||
      !posix::make_private(control)) {
    return posix::last_error();
  }
  return std::unique_ptr<TunDevice>(new posix::FamilyTun(made.data(), control.release()));
}

std::string explain_tun_error(const std::string& name, const boost::system::error_code& error) {
  std::string text = "cannot create the tunnel interface " + name + ": " + error.message();
  switch (error.value()) {
    case EPERM:
    case EACCES:
      return text + "; run as root";
    case EINVAL:
      return text +
             "; this system's tunnel interfaces are called utun0, utun1 and so on: choose such a name, or "
             "tun " +
             "for the first free one, in the configuration";
    case EEXIST:
    case EBUSY:
      return text + "; another program uses this name: choose another one in the configuration";
    default:
      return text;
  }
}

}  // namespace sixlink::platform
