// SPDX-License-Identifier: BSD-3-Clause
// A tunnel interface made of a socket pair, which keeps packets apart as a TUN does.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <stdexcept>
#include <string>

#include "platform/platform.h"
#include "tests/unit/net/ipv6_packet.h"

namespace sixlink::test {

class MemoryTun final : public platform::TunDevice {
 public:
  // `inside` becomes the kernel's side: what is sent there is read as a packet from the system.
  explicit MemoryTun(int& inside) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::runtime_error("socketpair");
    fd_ = ends[0];
    inside = ends[1];
  }
  MemoryTun(const MemoryTun&) = delete;
  MemoryTun& operator=(const MemoryTun&) = delete;
  ~MemoryTun() override { ::close(fd_); }

  const std::string& name() const override { return name_; }
  int fd() const override { return fd_; }
  std::ptrdiff_t read(std::span<std::uint8_t> buffer) override {
    const auto size = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (size > 0) return size;
    if (size == 0) return -EBADFD;  // the interface was deleted
    return errno == EAGAIN ? 0 : -errno;
  }
  int write(std::span<const std::uint8_t> packet) override {
    if (write_error != 0) return -write_error;
    if (::send(fd_, packet.data(), packet.size(), MSG_NOSIGNAL) >= 0 || errno == EAGAIN) return 0;
    return -errno;
  }

  int write_error = 0;  // what the next writes fail with

 private:
  std::string name_ = "memory0";
  int fd_ = -1;
};

// The other side of it.
class KernelSide {
 public:
  KernelSide() = default;
  KernelSide(const KernelSide&) = delete;
  KernelSide& operator=(const KernelSide&) = delete;
  ~KernelSide() { close(); }

  int& slot() { return fd_; }
  bool send(const Packet& packet) const {
    return ::send(fd_, packet.data(), packet.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(packet.size());
  }
  std::optional<Packet> receive() const {
    Packet packet(65536);
    const auto size = ::recv(fd_, packet.data(), packet.size(), 0);
    if (size <= 0) return std::nullopt;
    packet.resize(static_cast<std::size_t>(size));
    return packet;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

}  // namespace sixlink::test
