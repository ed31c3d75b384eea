// SPDX-License-Identifier: BSD-3-Clause
// The packet info of systems whose struct in_pktinfo has ipi_spec_dst: Linux, Darwin, SunOS (ip(7), ip(4),
// ip(4P)).
#pragma once

#include "platform/posix/message_batch.h"

namespace sixlink::platform::posix {

struct PktInfo {
  static int enable(int fd) {
    const int on = 1;
    return ::setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  }
  static bool read(const cmsghdr* control, address_v4& local) {
    in_pktinfo info;
    if (control->cmsg_type != IP_PKTINFO || !read_control(control, info)) return false;
    local = address_v4(ntohl(info.ipi_addr.s_addr));
    return true;
  }
  static void write(msghdr& message, ControlBuffer& buffer, const address_v4& source) {
    in_pktinfo info{};
    info.ipi_spec_dst.s_addr = htonl(source.to_uint());
    write_control(message, buffer, IPPROTO_IP, IP_PKTINFO, info);
  }
  static bool takes_source(int) { return true; }
};

}  // namespace sixlink::platform::posix
