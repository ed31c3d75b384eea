// SPDX-License-Identifier: BSD-3-Clause
// send_unfragmented() of platform.h where an option of the socket says so.
#pragma once

#include <optional>

#include "platform/platform.h"

namespace sixlink::platform::posix {

// `v4_option` (IP_DONTFRAG, level IPPROTO_IP) or nullopt: this system cannot be told for IPv4. IPv6's is
// IPV6_DONTFRAG (RFC 3542) everywhere.
boost::system::error_code send_with_dont_fragment(int fd, std::span<const std::uint8_t> datagram,
                                                  std::optional<int> v4_option);

}  // namespace sixlink::platform::posix
