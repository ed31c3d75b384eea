// SPDX-License-Identifier: BSD-3-Clause
// Path MTUs where the kernel needs no help.
#include "platform/platform.h"

namespace sixlink::platform {

boost::system::result<int> watch_path_mtu(RawTunnel, const boost::asio::ip::address&) {
  return boost::system::errc::make_error_code(boost::system::errc::operation_not_supported);
}

}  // namespace sixlink::platform
