// SPDX-License-Identifier: BSD-3-Clause
// TUN interfaces on Linux: Documentation/networking/tuntap.rst.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "platform/platform.h"

namespace sixlink::platform {
namespace {

constexpr char kDevice[] = "/dev/net/tun";

class LinuxTun final : public TunDevice {
 public:
  LinuxTun(std::string name, int fd) : name_(std::move(name)), fd_(fd) {}
  LinuxTun(const LinuxTun&) = delete;
  LinuxTun& operator=(const LinuxTun&) = delete;
  ~LinuxTun() override { ::close(fd_); }

  const std::string& name() const override { return name_; }
  int fd() const override { return fd_; }

  std::ptrdiff_t read(std::span<std::uint8_t> buffer) override {
    for (;;) {
      const auto size = ::read(fd_, buffer.data(), buffer.size());
      if (size >= 0) return size;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
      if (errno != EINTR) return -errno;
    }
  }

  int write(std::span<const std::uint8_t> packet) override {
    for (;;) {
      if (::write(fd_, packet.data(), packet.size()) >= 0) return 0;
      // A full queue costs this packet, not the tunnel.
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM) return 0;
      if (errno != EINTR) return -errno;
    }
  }

 private:
  std::string name_;
  int fd_;
};

}  // namespace

boost::system::result<std::unique_ptr<TunDevice>> open_tun(const std::string& name) {
  const auto error = [](int number) {
    return boost::system::error_code(number, boost::system::system_category());
  };
  const std::string wanted = name == "tun" ? "tun%d" : name;
  ifreq request{};
  if (wanted.size() >= sizeof request.ifr_name) return error(ENAMETOOLONG);
  // TUNSETIFF would attach to an existing persistent interface, which is not ours.
  if (wanted == name && ::if_nametoindex(name.c_str()) != 0) return error(EEXIST);
  const int fd = ::open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return error(errno);
  std::memcpy(request.ifr_name, wanted.c_str(), wanted.size() + 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (::ioctl(fd, TUNSETIFF, &request) != 0) {
    const auto failure = error(errno);
    ::close(fd);
    return failure;
  }
  return std::unique_ptr<TunDevice>(new LinuxTun(request.ifr_name, fd));
}

std::string explain_tun_error(const std::string& name, const boost::system::error_code& error) {
  std::string text = "cannot create the tunnel interface " + name + ": " + error.message();
  switch (error.value()) {
    case EPERM:
    case EACCES:
      return text + "; run as root, or with the capability CAP_NET_ADMIN and access to " + kDevice;
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return text + "; the kernel has no TUN driver here: modprobe tun (in a container, pass " + kDevice +
             " in)";
    case EEXIST:
    case EBUSY:
      return text + "; another program uses this name: choose another one in the configuration";
    default:
      return text;
  }
}

}  // namespace sixlink::platform
