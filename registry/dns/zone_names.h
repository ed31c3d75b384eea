// SPDX-License-Identifier: BSD-3-Clause
// Names in DNS: of addresses and prefixes in the reverse tree (RFC 3596 section 2.5), and of users. All are
// lower case without a dot at the end. Everything made here can stand in an update as it is.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/net/prefix.h"

namespace sixlink::registry::dns {

// "2.0.0.0...8.b.d.0.1.0.0.2.ip6.arpa", 32 digits.
std::string reverse_name(const net::AddressV6& address);

// The zone of a prefix whose length is a multiple of four: "2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa" of
// 2001:db8:42::/48. nullopt: another length, or 0.
std::optional<std::string> reverse_zone(const net::Prefix& prefix);
// The prefix of a zone such as above, in upper or lower case. nullopt: no zone of ip6.arpa.
std::optional<net::Prefix> prefix_of_zone(std::string_view zone);

// The zones that together are the prefix: one, or, when the length is no multiple of four, the two, four or
// eight of the next longer one. Empty: length 0 or over 128.
std::vector<std::string> reverse_zones(const net::Prefix& prefix);

// `name` is the zone's apex or below it.
bool is_within(std::string_view name, std::string_view zone);

// Lower case, without a dot at the end.
std::string canonical(std::string_view name);

// A name that a name server, a zone or a user's domain may have: labels of letters, digits and hyphens (RFC
// 1123 section 2.1), 253 characters at most, two labels at least, and no IPv4 address.
bool is_domain_name(std::string_view text);

// The label for a user's name. A name that is a label in lower case is its own label; of any other one, what
// can stand in a label is followed by "-x" and 26 digits of its SHA-256 in base32hex (RFC 4648 section 7):
// DNS does not tell upper from lower case, and has neither "@" nor "_" in host names. A name that looks like
// such a label is treated so, too, so that no two users have the same.
std::string user_label(std::string_view user);

inline constexpr std::size_t kLongestLabel = 63;
inline constexpr std::size_t kLongestName = 253;

}  // namespace sixlink::registry::dns
