// SPDX-License-Identifier: BSD-3-Clause
// TUN interfaces on SunOS: the Universal TUN/TAP driver, a STREAMS driver that no release brings along.
// illumos distributions have it as a package (driver/tuntap, tun); for Solaris it is built from its source.
//
// /dev/tun gives a unit (TUNNEWPPA); the stream that asked is the one to read and write packets on. An
// interface is a second stream on the same unit with the module ip pushed on it and linked below IP, once for
// each family: below /dev/udp for IPv4, below /dev/udp6 for IPv6. I_LINK, unlike I_PLINK, undoes itself when
// the stream above is closed, so the interfaces go with the process. Packets have no header before them.
#include <fcntl.h>
#include <net/if.h>
#include <net/if_tun.h>
#include <stropts.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "platform/platform.h"
#include "platform/posix/descriptor.h"
#include "platform/posix/unit_name.h"

namespace sixlink::platform {
namespace {

using posix::Descriptor;
using posix::last_error;

constexpr char kDevice[] = "/dev/tun";

class SunTun final : public TunDevice {
 public:
  SunTun(std::string name, Descriptor packets, Descriptor below_v4, Descriptor below_v6)
      : name_(std::move(name)),
        packets_(std::move(packets)),
        below_v4_(std::move(below_v4)),
        below_v6_(std::move(below_v6)) {}

  const std::string& name() const override { return name_; }
  int fd() const override { return packets_.get(); }

  std::ptrdiff_t read(std::span<std::uint8_t> buffer) override {
    for (;;) {
      const auto size = ::read(packets_.get(), buffer.data(), buffer.size());
      if (size >= 0) return size;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
      if (errno != EINTR) return -errno;
    }
  }

  int write(std::span<const std::uint8_t> packet) override {
    for (;;) {
      if (::write(packets_.get(), packet.data(), packet.size()) >= 0) return 0;
      // A full queue costs this packet, not the tunnel.
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOSR) return 0;
      if (errno != EINTR) return -errno;
    }
  }

 private:
  std::string name_;
  Descriptor packets_;
  // While they are open the interfaces are there.
  Descriptor below_v4_;
  Descriptor below_v6_;
};

// The stream gets this unit. EEXIST: it is taken.
bool take_unit(const Descriptor& stream, unsigned unit) {
  int wanted = static_cast<int>(unit);
  strioctl request{};
  request.ic_cmd = TUNNEWPPA;
  request.ic_len = sizeof wanted;
  request.ic_dp = reinterpret_cast<char*>(&wanted);
  const int taken = ::ioctl(stream.get(), I_STR, &request);
  if (taken >= 0 && taken != wanted) errno = EEXIST;
  return taken == wanted;
}

// The descriptor that keeps the interface `name` of one family there; none: errno says why.
Descriptor plumb(const std::string& name, unsigned unit, const char* above, std::uint64_t family_flag) {
  const Descriptor interface(::open(kDevice, O_RDWR | O_CLOEXEC));
  Descriptor result(::open(above, O_RDWR | O_CLOEXEC));
  if (!interface || !result || ::ioctl(interface.get(), I_PUSH, "ip") < 0) return Descriptor();
  lifreq request{};
  if (name.size() >= sizeof request.lifr_name) {
    errno = ENAMETOOLONG;
    return Descriptor();
  }
  std::memcpy(request.lifr_name, name.c_str(), name.size() + 1);
  request.lifr_ppa = unit;
  request.lifr_flags = family_flag;
  if (::ioctl(interface.get(), SIOCSLIFNAME, &request) < 0 ||
      ::ioctl(result.get(), I_LINK, interface.get()) < 0) {
    return Descriptor();
  }
  return result;
}

}  // namespace

boost::system::result<std::unique_ptr<TunDevice>> open_tun(const std::string& name) {
  Descriptor packets(::open(kDevice, O_RDWR | O_CLOEXEC));
  if (!packets) return last_error();
  auto unit = posix::unit_of(name, "tun");
  if (unit) {
    if (!take_unit(packets, *unit)) return last_error();
  } else if (name == "tun") {
    for (unsigned tried = 0; !unit; ++tried) {
      if (take_unit(packets, tried)) {
        unit = tried;
      } else if (errno != EEXIST || tried == posix::kTriedUnits) {
        return last_error();
      }
    }
  } else {
    return posix::to_error(EINVAL);
  }
  const auto real_name = "tun" + std::to_string(*unit);
  // One packet a read; what does not fit is dropped with it.
  if (::ioctl(packets.get(), I_SRDOPT, RMSGD) < 0 || !posix::make_private(packets)) return last_error();
  auto below_v4 = plumb(real_name, *unit, "/dev/udp", IFF_IPV4);
  if (!below_v4) return last_error();
  auto below_v6 = plumb(real_name, *unit, "/dev/udp6", IFF_IPV6);
  if (!below_v6) return last_error();
  return std::unique_ptr<TunDevice>(
      new SunTun(real_name, std::move(packets), std::move(below_v4), std::move(below_v6)));
}

std::string explain_tun_error(const std::string& name, const boost::system::error_code& error) {
  std::string text = "cannot create the tunnel interface " + name + ": " + error.message();
  switch (error.value()) {
    case EPERM:
    case EACCES:
      return text + "; run as root";
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return text +
             "; the kernel has no TUN driver here: install the Universal TUN/TAP driver (package "
             "driver/tuntap, " +
             "or tun) and add_drv tun";
    case EINVAL:
      return text +
             "; this system's tunnel interfaces are called tun0, tun1 and so on: choose such a name, or "
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
