// SPDX-License-Identifier: BSD-3-Clause
// A queue of a tunnel interface made of a socket pair, which keeps packets apart as a TUN does. It grants
// what it is told to: the frames then come out with their headers before them.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "platform/packet_io.h"
#include "tests/unit/datapath/memory_tun.h"

namespace sixlink::test {

class MemoryQueue final : public platform::TunQueue {
 public:
  // `inside` becomes the kernel's side: what is sent there is read as a packet from the system.
  explicit MemoryQueue(int& inside, const platform::Offloads& granted = platform::Offloads::none())
      : granted_(granted) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
      throw std::runtime_error("socketpair");
    fd_ = ends[0];
    inside = ends[1];
  }
  MemoryQueue(const MemoryQueue&) = delete;
  MemoryQueue& operator=(const MemoryQueue&) = delete;
  ~MemoryQueue() override { ::close(fd_); }

  const std::string& name() const override { return name_; }
  int fd() const override { return fd_; }
  platform::Offloads granted() const override { return granted_; }

  std::ptrdiff_t read(datapath::FrameHeader& header, std::span<std::uint8_t> buffer) override {
    header = {};
    iovec pieces[2] = {{&header, sizeof header}, {buffer.data(), buffer.size()}};
    msghdr message{};
    message.msg_iov = has_headers() ? pieces : pieces + 1;
    message.msg_iovlen = has_headers() ? 2 : 1;
    const auto size = ::recvmsg(fd_, &message, 0);
    if (size == 0) return -EBADFD;  // the interface was deleted
    if (size < 0) return errno == EAGAIN ? 0 : -errno;
    return has_headers() ? size - static_cast<std::ptrdiff_t>(sizeof header) : size;
  }

  int write(const datapath::FrameHeader& header, std::span<const iovec> pieces) override {
    if (write_error != 0) return -write_error;
    if (!has_headers() && !header.is_plain()) return -EINVAL;
    datapath::FrameHeader copy = header;
    std::vector<iovec> all;
    if (has_headers()) all.push_back({&copy, sizeof copy});
    all.insert(all.end(), pieces.begin(), pieces.end());
    msghdr message{};
    message.msg_iov = all.data();
    message.msg_iovlen = all.size();
    if (::sendmsg(fd_, &message, MSG_NOSIGNAL) >= 0) return 0;
    return errno == EAGAIN ? -ENOBUFS : -errno;
  }

  bool has_headers() const { return granted_.tun_checksum; }

  std::atomic<int> write_error{0};  // what the next writes fail with

 private:
  std::string name_ = "memory0";
  int fd_ = -1;
  platform::Offloads granted_;
};

}  // namespace sixlink::test
