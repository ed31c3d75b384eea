// SPDX-License-Identifier: BSD-3-Clause
// A TUN with an address family before each packet. readv and writev keep the header apart, so that no packet
// is copied or moved for it.
#include "platform/posix/family_tun.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace sixlink::platform::posix {
namespace {

// Families are small numbers: of the four bytes in network order only the last is ever used.
static_assert(AF_INET < 256 && AF_INET6 < 256);

bool is_full_queue(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

bool make_family_header(std::span<const std::uint8_t> packet, FamilyHeader& header) {
  if (packet.empty()) return false;
  const int version = packet[0] >> 4;
  if (version != 4 && version != 6) return false;
  header = {0, 0, 0, static_cast<std::uint8_t>(version == 4 ? AF_INET : AF_INET6)};
  return true;
}

bool is_inner_family(const FamilyHeader& header) {
  return header[0] == 0 && header[1] == 0 && header[2] == 0 &&
         (header[3] == AF_INET || header[3] == AF_INET6);
}

FamilyTun::FamilyTun(std::string name, int fd, std::function<void(const std::string&)> remove)
    : name_(std::move(name)), fd_(fd), remove_(std::move(remove)) {}

FamilyTun::~FamilyTun() {
  ::close(fd_);
  if (remove_) remove_(name_);
}

std::ptrdiff_t FamilyTun::read(std::span<std::uint8_t> buffer) {
  FamilyHeader header{};
  iovec parts[] = {{header.data(), header.size()}, {buffer.data(), buffer.size()}};
  for (;;) {
    const auto size = ::readv(fd_, parts, 2);
    if (size < 0) {
      if (errno == EINTR) continue;
      // EHOSTDOWN: the interface has no address yet, which the template gives it.
      return errno == EAGAIN || errno == EWOULDBLOCK || errno == EHOSTDOWN ? 0 : -errno;
    }
    if (size == 0) return 0;
    // Nothing that a tunnel carries: on to the next.
    if (static_cast<std::size_t>(size) <= header.size() || !is_inner_family(header)) continue;
    return size - static_cast<std::ptrdiff_t>(header.size());
  }
}

int FamilyTun::write(std::span<const std::uint8_t> packet) {
  FamilyHeader header;
  if (!make_family_header(packet, header)) return -EINVAL;
  // writev takes what it only reads through a pointer that is not const.
  iovec parts[] = {{header.data(), header.size()}, {const_cast<std::uint8_t*>(packet.data()), packet.size()}};
  for (;;) {
    if (::writev(fd_, parts, 2) >= 0) return 0;
    // A full queue costs this packet, not the tunnel.
    if (is_full_queue(errno)) return 0;
    if (errno != EINTR) return -errno;
  }
}

}  // namespace sixlink::platform::posix
