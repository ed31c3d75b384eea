// SPDX-License-Identifier: BSD-3-Clause
// A datagram that probes the path's MTU.
#include <netinet/in.h>

#include "platform/posix/dont_fragment.h"

namespace sixlink::platform {

boost::system::error_code send_unfragmented(int fd, std::span<const std::uint8_t> datagram) {
  return posix::send_with_dont_fragment(fd, datagram, IP_DONTFRAG);
}

}  // namespace sixlink::platform
