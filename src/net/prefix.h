// SPDX-License-Identifier: BSD-3-Clause
// Prefixes, of IPv6 and of IPv4, and their texts.
// RFC 4291 section 2.3 (prefix notation), RFC 5952 (canonical text).
#pragma once

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace sixlink::net {

using AddressV6 = boost::asio::ip::address_v6;

// Bits of `address` after the first `length` set to zero.
AddressV6 mask(const AddressV6& address, int length);

// A value: `address` has no bit set beyond `length` (0 to 128) when made by parse() or make().
struct Prefix {
  AddressV6 address;
  int length = 128;

  // nullopt when the length is out of range or host bits are set.
  static std::optional<Prefix> make(const AddressV6& address, int length);
  // "2001:db8::/32". nullopt unless well formed and without host bits.
  static std::optional<Prefix> parse(std::string_view text);

  bool contains(const AddressV6& other) const;
  bool contains(const Prefix& other) const;
  // "2001:db8::/32"
  std::string to_string() const;

  friend bool operator==(const Prefix&, const Prefix&) = default;
};

// The same of IPv4: 0 to 32.
struct PrefixV4 {
  boost::asio::ip::address_v4 address;
  int length = 32;

  static std::optional<PrefixV4> make(const boost::asio::ip::address_v4& address, int length);
  // "203.0.113.0/24". nullopt unless well formed and without host bits.
  static std::optional<PrefixV4> parse(std::string_view text);

  bool contains(const boost::asio::ip::address_v4& other) const;
  std::string to_string() const;

  friend bool operator==(const PrefixV4&, const PrefixV4&) = default;
};

// 203.0.113.0/24 as ::ffff:203.0.113.0/120 and back, so that one kind of table holds both families. nullopt:
// no v4-mapped prefix.
Prefix v4_mapped(const PrefixV4& prefix);
std::optional<PrefixV4> unmapped(const Prefix& prefix);

// Eight groups of four digits: "2001:0db8:0000:...". Deployed TSP clients need it of a delegated prefix.
std::string expanded_text(const AddressV6& address);
// The expanded text cut to the groups that `length` covers: "2001:0db8:00aa:bb00" for 56, so that appending
// "::1" makes an address (the template's TSP_PREFIX).
std::string covered_groups(const Prefix& prefix);

// Text to address; accepts no zone index. nullopt when malformed.
std::optional<AddressV6> parse_v6(std::string_view text);

std::optional<boost::asio::ip::address_v4> parse_v4(std::string_view text);

// An address a tunnel's inner end may have: global or unique-local unicast.
bool is_inner_unicast(const AddressV6& address);
// An IPv4 address that one machine may have.
bool is_unicast(const boost::asio::ip::address_v4& address);

}  // namespace sixlink::net
