// SPDX-License-Identifier: BSD-3-Clause
// Which DNS records the leases call for, what is to be changed to get there, and the commands for nsupdate.
// Pure: it knows neither the store nor the network.
//
// For the lease of user alice with the prefix 2001:db8:42:100::/56 and the name server ns1.example.net:
//   alice.users.example.net                             AAAA  2001:db8:42::2
//   2.0.0...0.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa          PTR   alice.users.example.net
//   1.0.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa                NS    ns1.example.net
// A name server that is given by its address is ns1.alice.users.example.net (ns2, ...) with this address.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "registry/dns/settings.h"
#include "registry/store/store.h"

namespace sixlink::registry::dns {

// The name of a user's tunnel; empty: anonymous, or no user_domain.
std::string user_name(const Settings& settings, std::string_view user);

// What a client asked its prefix's reverse zone to be delegated to, in canonical form and each once. nullopt:
// it cannot be delegated so (TSP 509): a text that is no name; a name in the reverse zones, which would need
// glue; an address while the client has no name that a name for it could be made from, or one that nobody
// else can reach.
std::optional<std::vector<std::string>> accept_name_servers(const Settings& settings,
                                                            const std::vector<std::string>& asked,
                                                            std::string_view user);

// Ascending, each once.
std::vector<DnsRecord> wanted_records(const Settings& settings, const std::map<std::int64_t, Lease>& leases);

struct Change {
  DnsRecord record;
  bool is_addition = true;

  friend bool operator==(const Change&, const Change&) = default;
};
// From what was published to what is wanted (ascending): by zone and name, removals before additions.
std::vector<Change> plan_changes(const std::vector<DnsRecord>& wanted, const DnsRecords& published, int ttl);

// One update (RFC 2136) of one zone, for nsupdate's standard input.
std::string update_script(const Settings& settings, const std::string& zone, std::span<const Change> changes);

}  // namespace sixlink::registry::dns
