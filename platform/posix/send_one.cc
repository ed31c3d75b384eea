// SPDX-License-Identifier: BSD-3-Clause
// A single datagram on a connected socket.
#include <sys/socket.h>

#include <cerrno>

#include "platform/platform.h"

namespace sixlink::platform {

boost::system::error_code send_one(int fd, std::span<const std::uint8_t> datagram) {
  for (;;) {
    if (::send(fd, datagram.data(), datagram.size(), MSG_DONTWAIT) >= 0) return {};
    if (errno != EINTR) return {errno, boost::system::system_category()};
  }
}

}  // namespace sixlink::platform
