// SPDX-License-Identifier: BSD-3-Clause
// Raw tunnels. The kernel's gif(4) and stf(4) take the packets of tunnels that they know; the others come
// here.
#include "platform/posix/raw_socket_parts.h"

namespace sixlink::platform {

boost::system::result<int> open_raw_tunnel(RawTunnel kind, const boost::asio::ip::address& local,
                                           const boost::asio::ip::address& remote) {
  return posix::open_raw_tunnel_socket(kind, local, remote);
}

}  // namespace sixlink::platform
