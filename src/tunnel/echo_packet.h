// SPDX-License-Identifier: BSD-3-Clause
// The inner packet of an EchoMessage.
#pragma once

#include <boost/asio/ip/address.hpp>

#include "src/net/icmp.h"
#include "src/tunnel/echo_message.h"

namespace sixlink::tunnel {

// Both addresses are of one family. A packet_size beyond IcmpPacket::kLargest is cut to that.
net::IcmpPacket make_echo_packet(const EchoMessage& echo, const boost::asio::ip::address& source,
                                 const boost::asio::ip::address& destination);

}  // namespace sixlink::tunnel
