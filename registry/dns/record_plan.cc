// SPDX-License-Identifier: BSD-3-Clause
// Which DNS records the leases call for, and how to get there.
#include "registry/dns/record_plan.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <tuple>

#include "registry/dns/zone_names.h"

namespace sixlink::registry::dns {
namespace {

using boost::asio::ip::address;

std::optional<address> parse_address(const std::string& text) {
  if (text.size() > 45) return std::nullopt;
  boost::system::error_code error;
  const auto parsed = boost::asio::ip::make_address(text, error);
  if (error || (parsed.is_v6() && parsed.to_v6().scope_id() != 0)) return std::nullopt;
  return parsed;
}

// RFC 1918, and RFC 6598's shared space: a resolver elsewhere would ask a stranger.
bool is_private(const boost::asio::ip::address_v4& v4) {
  const auto value = v4.to_uint();
  return value >> 24 == 10 || value >> 20 == 0xac1 || value >> 16 == 0xc0a8 || value >> 16 == 0xa9fe ||
         value >> 22 == 0x191;  // 100.64.0.0/10
}

bool may_serve_names(const address& server) {
  if (server.is_v6()) return net::is_inner_unicast(server.to_v6()) && !server.to_v6().is_v4_mapped();
  const auto v4 = server.to_v4();
  return !v4.is_unspecified() && !v4.is_loopback() && !v4.is_multicast() && v4.to_uint() >> 28 != 15 &&
         !is_private(v4);
}

DnsRecord address_record(const Settings& settings, const std::string& name, const address& value) {
  return {settings.user_zone, name, value.is_v6() ? "AAAA" : "A", value.to_string()};
}

// The operator's zone that a name of the reverse tree lies below. Null: none.
const std::string* zone_around(const Settings& settings, std::string_view name) {
  const std::string* closest = nullptr;
  for (const auto& zone : settings.reverse_zones) {
    if (name.size() == zone.size() || !is_within(name, zone)) continue;
    if (closest == nullptr || zone.size() > closest->size()) closest = &zone;
  }
  return closest;
}

void add_user(const Settings& settings, const Lease& lease, std::vector<DnsRecord>& records) {
  const auto name = user_name(settings, lease.user);
  if (name.empty()) return;
  if (lease.address.is_v4_mapped()) {
    const auto v4 = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, lease.address);
    records.push_back(address_record(settings, name, v4));
    return;
  }
  records.push_back(address_record(settings, name, lease.address));
  const auto reverse = reverse_name(lease.address);
  if (const auto* zone = zone_around(settings, reverse)) records.push_back({*zone, reverse, "PTR", name});
}

void add_delegation(const Settings& settings, const Lease& lease, std::vector<DnsRecord>& records) {
  if (!lease.prefix || lease.prefix->address.is_v4_mapped() || lease.name_servers.empty()) return;
  std::vector<std::string> servers;
  int number = 0;
  bool has_zone = false;
  for (const auto& server : lease.name_servers) {
    const auto literal = parse_address(server);
    if (!literal) {
      if (is_domain_name(server)) servers.push_back(canonical(server));
      continue;
    }
    const auto user = user_name(settings, lease.user);
    if (user.empty()) continue;
    const auto name = "ns" + std::to_string(++number) + "." + user;
    servers.push_back(name);
    records.push_back(address_record(settings, name, *literal));
  }
  for (const auto& delegated : reverse_zones(*lease.prefix)) {
    const auto* zone = zone_around(settings, delegated);
    if (zone == nullptr) continue;
    has_zone = true;
    for (const auto& server : servers) records.push_back({*zone, delegated, "NS", server});
  }
  // Addresses of name servers that nothing refers to.
  if (!has_zone) records.resize(records.size() - static_cast<std::size_t>(number));
}

}  // namespace

std::string user_name(const Settings& settings, std::string_view user) {
  if (user.empty() || settings.user_domain.empty()) return {};
  return user_label(user) + "." + settings.user_domain;
}

std::optional<std::vector<std::string>> accept_name_servers(const Settings& settings,
                                                            const std::vector<std::string>& asked,
                                                            std::string_view user) {
  std::vector<std::string> accepted;
  for (const auto& server : asked) {
    std::string text;
    if (const auto literal = parse_address(server)) {
      if (user_name(settings, user).empty() || !may_serve_names(*literal)) return std::nullopt;
      text = literal->to_string();
    } else {
      if (!is_domain_name(server)) return std::nullopt;
      text = canonical(server);
      if (is_within(text, "ip6.arpa")) return std::nullopt;
    }
    if (std::find(accepted.begin(), accepted.end(), text) == accepted.end())
      accepted.push_back(std::move(text));
  }
  return accepted;
}

std::vector<DnsRecord> wanted_records(const Settings& settings, const std::map<std::int64_t, Lease>& leases) {
  std::vector<DnsRecord> records;
  for (const auto& [id, lease] : leases) {
    add_user(settings, lease, records);
    add_delegation(settings, lease, records);
  }
  std::sort(records.begin(), records.end());
  records.erase(std::unique(records.begin(), records.end()), records.end());
  return records;
}

std::vector<Change> plan_changes(const std::vector<DnsRecord>& wanted, const DnsRecords& published, int ttl) {
  std::vector<Change> changes;
  auto old = published.begin();
  for (const auto& record : wanted) {
    for (; old != published.end() && old->first < record; ++old) changes.push_back({old->first, false});
    if (old != published.end() && old->first == record) {
      const auto& state = old->second;
      if (!state.is_confirmed || state.ttl != ttl) changes.push_back({record, true});
      ++old;
    } else {
      changes.push_back({record, true});
    }
  }
  for (; old != published.end(); ++old) changes.push_back({old->first, false});
  // One name's changes are one step: a new address takes the old one's place.
  const auto order = [](const Change& change) {
    return std::tie(change.record.zone, change.record.name, change.is_addition, change.record);
  };
  std::sort(changes.begin(), changes.end(),
            [&](const Change& a, const Change& b) { return order(a) < order(b); });
  return changes;
}

std::string update_script(const Settings& settings, const std::string& zone,
                          std::span<const Change> changes) {
  std::string script = "server " + settings.update_server + " " + std::to_string(settings.update_port) +
                       "\nzone " + zone + ".\n";
  const std::string ttl = std::to_string(settings.ttl.count());
  for (const auto& [record, is_addition] : changes) {
    const bool is_name = record.type == "NS" || record.type == "PTR";
    const auto data = record.data + (is_name ? "." : "");
    script += is_addition ? "update add " + record.name + ". " + ttl + " IN " + record.type + " " + data
                          : "update delete " + record.name + ". IN " + record.type + " " + data;
    script += '\n';
  }
  return script + "send\n";
}

}  // namespace sixlink::registry::dns
