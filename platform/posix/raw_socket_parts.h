// SPDX-License-Identifier: BSD-3-Clause
// Raw sockets (raw tunnels, echoes) as far as systems other than Linux agree on them.
#pragma once

#include <functional>

#include "platform/platform.h"
#include "platform/posix/descriptor.h"

namespace sixlink::platform::posix {

// open_raw_tunnel() of platform.h.
//
// What kIpv6InIpv4 receives begins with the IPv4 header, of which only the version and the header's own
// length may be relied on: FreeBSD before 11, NetBSD and Darwin give ip_len and ip_off in the machine's byte
// order, and some without the header's length in ip_len. The packet's size is what recvmsg said.
boost::system::result<int> open_raw_tunnel_socket(RawTunnel kind, const boost::asio::ip::address& local,
                                                  const boost::asio::ip::address& remote);

// open_echo() of platform.h; `send_through` ties the socket to the interface before it is bound, and says
// with errno why it could not. Only Linux filters ICMP in the kernel; elsewhere a connected socket gives
// every ICMP message of the destination, so the reader has to look at the type (of ICMPv6, RFC 3542's filter
// does it).
boost::system::result<int> open_echo_socket(const boost::asio::ip::address& source,
                                            const boost::asio::ip::address& destination,
                                            const std::function<bool(const Descriptor&)>& send_through);

}  // namespace sixlink::platform::posix
