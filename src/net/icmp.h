// SPDX-License-Identifier: BSD-3-Clause
// ICMP (RFC 792, RFC 1812) and, for packets of either IP version, whichever ICMP is theirs.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <span>

#include "src/net/icmpv6.h"

namespace sixlink::net {

// Both addresses are of one family.
IcmpPacket make_echo_request(const boost::asio::ip::address& source,
                             const boost::asio::ip::address& destination, std::uint16_t identifier,
                             std::uint16_t sequence, std::span<const std::uint8_t> payload);

// nullopt unless `packet`, a whole inner packet, is an echo reply with right checksums, no extension headers
// and no fragment.
std::optional<EchoReply> parse_echo_reply(std::span<const std::uint8_t> packet);

// Why a packet does not reach its destination.
enum class Undeliverable {
  kUnrouted,
  kUnreachable,
  kForeignSource,  // its source may not be used here (ICMP: administratively prohibited)
  kTooBig,
  kExpired,
};

// Who an error comes from.
struct ErrorSource {
  AddressV6 v6;
  boost::asio::ip::address_v4 v4;  // unspecified: no errors about IPv4 packets
};

// An error about `packet` to its sender. `mtu` is for kTooBig. nullopt where the RFCs forbid one: see
// make_error() in icmpv6.h; ICMP: RFC 1812 section 4.3.2.7, and kTooBig when the packet may be fragmented.
std::optional<IcmpPacket> make_error(Undeliverable reason, std::uint32_t mtu, const ErrorSource& source,
                                     std::span<const std::uint8_t> packet);

}  // namespace sixlink::net
