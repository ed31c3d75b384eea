// SPDX-License-Identifier: BSD-3-Clause
// TCP connections through a tunnel are told what it carries, as path MTU discovery often fails (RFC 4459
// section 3.2). In place, no allocation, no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sixlink::datapath {

// Lowers the maximum segment size (RFC 9293 section 3.7.1) in a TCP SYN to what packets of `mtu` bytes hold:
// 40 bytes less for IPv4, 60 for IPv6. Never raises it. True: the packet was changed, and its checksum with
// it. Everything else, also what is malformed, a later fragment or protected (AH, ESP), is left alone.
bool clamp_mss(std::span<std::uint8_t> packet, std::size_t mtu);

}  // namespace sixlink::datapath
