// SPDX-License-Identifier: BSD-3-Clause
// No raw tunnels: the kernel's ipip(4) takes protocols 4 and 41 before any raw socket. gif(4) does the work
// here.
#include <cerrno>

#include "platform/platform.h"

namespace sixlink::platform {

boost::system::result<int> open_raw_tunnel(RawTunnel, const boost::asio::ip::address&,
                                           const boost::asio::ip::address&) {
  return boost::system::error_code(EPROTONOSUPPORT, boost::system::system_category());
}

}  // namespace sixlink::platform
