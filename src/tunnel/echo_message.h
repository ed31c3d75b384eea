// SPDX-License-Identifier: BSD-3-Clause
// An echo request (ICMP or ICMPv6) that a machine wants sent through the tunnel; the link makes the packet.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sixlink::tunnel {

struct EchoMessage {
  std::uint16_t identifier = 0;
  std::uint16_t sequence = 0;
  // The payload's first bytes: unpredictable, so that a reply cannot be forged blindly.
  std::uint64_t cookie = 0;
  // Of the whole inner packet: padded with zeros up to it. 0: no padding, and it may be fragmented outside.
  std::size_t packet_size = 0;
};

}  // namespace sixlink::tunnel
