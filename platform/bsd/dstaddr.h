// SPDX-License-Identifier: BSD-3-Clause
// The packet info of the BSDs: IP_RECVDSTADDR and IP_SENDSRCADDR (ip(4)), one control message with an in_addr
// for both. FreeBSD, OpenBSD, and NetBSD since 8.
#pragma once

#include "platform/posix/message_batch.h"

namespace sixlink::platform::bsd {

struct DstAddr {
  static int enable(int fd) {
    const int on = 1;
    return ::setsockopt(fd, IPPROTO_IP, IP_RECVDSTADDR, &on, sizeof on);
  }
  static bool read(const cmsghdr* control, posix::address_v4& local) {
    in_addr address;
    if (control->cmsg_type != IP_RECVDSTADDR || !posix::read_control(control, address)) return false;
    local = posix::address_v4(ntohl(address.s_addr));
    return true;
  }
  static void write(msghdr& message, posix::ControlBuffer& buffer, const posix::address_v4& source) {
    in_addr address{};
    address.s_addr = htonl(source.to_uint());
    posix::write_control(message, buffer, IPPROTO_IP, IP_SENDSRCADDR, address);
  }
  // On a socket that is bound to one address the kernel refuses the message (EINVAL), and does not need it:
  // ip(4) asks for a socket bound to INADDR_ANY.
  static bool takes_source(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return false;
    if (storage.ss_family != AF_INET) return true;
    sockaddr_in bound{};
    std::memcpy(&bound, &storage, sizeof bound);
    return bound.sin_addr.s_addr == htonl(INADDR_ANY);
  }
};

}  // namespace sixlink::platform::bsd
