// SPDX-License-Identifier: BSD-3-Clause
// A datagram that probes the path's MTU: over IPv6 only, this system has no option for IPv4's DF.
#include "platform/posix/dont_fragment.h"

namespace sixlink::platform {

boost::system::error_code send_unfragmented(int fd, std::span<const std::uint8_t> datagram) {
  return posix::send_with_dont_fragment(fd, datagram, std::nullopt);
}

}  // namespace sixlink::platform
