// SPDX-License-Identifier: BSD-3-Clause
// Addresses of the network below the tunnels: their texts, and one form for each.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <string>

namespace sixlink::net {

// An IPv4 address that a dual-stack socket shows as ::ffff:a.b.c.d
// becomes an IPv4 one, so that quotas and comparisons match.
boost::asio::ip::address unmapped(const boost::asio::ip::address& address);

// "192.0.2.1:3653", "[2001:db8::1]:3653"
std::string endpoint_text(const boost::asio::ip::address& address, std::uint16_t port);

// What one customer holds: an IPv4 address, or the /64 of an IPv6 one (RFC 6177). Quotas count by it.
boost::asio::ip::address quota_address(const boost::asio::ip::address& address);

}  // namespace sixlink::net
