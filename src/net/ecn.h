// SPDX-License-Identifier: BSD-3-Clause
// Explicit congestion notification through a tunnel (RFC 6040, normal mode): the outer header says what the
// inner one says, and what happened to the outer one on its way is carried over.
#pragma once

#include <cstdint>
#include <span>

namespace sixlink::net {

// The field's values (RFC 3168 section 5): the two lowest bits of IPv4's TOS and IPv6's traffic class.
inline constexpr std::uint8_t kNotEct = 0;
inline constexpr std::uint8_t kEct1 = 1;
inline constexpr std::uint8_t kEct0 = 2;
inline constexpr std::uint8_t kCongestionExperienced = 3;
inline constexpr std::uint8_t kEcnMask = 3;

// Of an inner packet of either version; kNotEct of what is no packet.
std::uint8_t ecn_of(std::span<const std::uint8_t> packet);

// An inner packet that came out of an outer one with this traffic class: its own field becomes what RFC 6040
// figure 4 says (with IPv4's header checksum). False: it is to be dropped, as congestion was signalled to
// what does not know the signal.
[[nodiscard]] bool decapsulate_ecn(std::span<std::uint8_t> packet, std::uint8_t outer_traffic_class);

}  // namespace sixlink::net
