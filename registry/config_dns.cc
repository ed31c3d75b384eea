// SPDX-License-Identifier: BSD-3-Clause
// The keys of sixlink-registry.conf about names in DNS, and the checks between them.
#include "registry/config_dns.h"

#include <algorithm>

#include "registry/dns/zone_names.h"
#include "src/config/setters.h"

namespace sixlink::registry {
namespace {

using dns::Settings;

constexpr std::size_t kMostReverseZones = 16;
// Leaves room for the longest label and "ns8." before it.
constexpr std::size_t kLongestDomain = dns::kLongestName - dns::kLongestLabel - 5;

bool set_update_server(Config& config, const std::string& value) {
  config.dns.update_server.clear();
  if (value.empty()) return true;
  const auto server = net::ServerAddress::parse(value);
  if (!server) return false;
  const bool has_port = value != server->host && value != "[" + server->host + "]";
  config.dns.update_server = server->host;
  config.dns.update_port = has_port ? server->port : dns::kDnsPort;
  return true;
}

bool set_update_key(Config& config, const std::string& value) {
  config.dns.update_key = value;
  return true;
}

bool set_reverse_zones(Config& config, const std::string& value) {
  config.dns.reverse_zones.clear();
  for (const auto part : config::split_list(value)) {
    if (!dns::prefix_of_zone(part) || config.dns.reverse_zones.size() == kMostReverseZones) return false;
    config.dns.reverse_zones.push_back(dns::canonical(part));
  }
  return true;
}

auto domain(std::string Settings::*member) {
  return [member](Config& config, const std::string& value) {
    if (!value.empty() && (!dns::is_domain_name(value) || value.size() > kLongestDomain)) return false;
    config.dns.*member = dns::canonical(value);
    return true;
  };
}

void check_reverse_zones(Config& config, config::KeyReport& report) {
  auto& zones = config.dns.reverse_zones;
  if (report.is_refused("prefix") || report.is_refused("reverse_zone") || config.leases.prefix.length > 64)
    return;
  if (zones.empty()) {
    zones = dns::reverse_zones(config.leases.prefix);
    return;
  }
  for (const auto& zone : zones) {
    const auto part = dns::prefix_of_zone(zone);
    if (part && (part->contains(config.leases.prefix) || config.leases.prefix.contains(*part))) continue;
    report.problem("reverse_zone", zone + " (" + (part ? part->to_string() : std::string()) +
                                       ") has nothing to do with prefix=" + config.leases.prefix.to_string());
  }
}

void check_user_zone(Config& config, config::KeyReport& report) {
  auto& dns = config.dns;
  if (report.is_refused("user_domain") || report.is_refused("user_zone")) return;
  if (dns.user_zone.empty()) {
    dns.user_zone = dns.user_domain;
  } else if (dns.user_domain.empty()) {
    report.warning("user_zone", "without effect: there is no user_domain");
  } else if (!dns::is_within(dns.user_domain, dns.user_zone)) {
    report.problem("user_zone", dns.user_zone + " is not the zone of user_domain=" + dns.user_domain +
                                    ": it must be this domain or one above it");
  }
}

}  // namespace

void append_dns_keys(std::vector<config::Key<Config>>& keys) {
  keys.push_back(
      {"dns_update_server", "an address or a name, with an optional :port", "", set_update_server});
  keys.push_back({"dns_update_key", "the path of a TSIG key file", "", set_update_key});
  keys.push_back({"reverse_zone",
                  "at most 16 zones of ip6.arpa, separated by blanks (2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa)", "",
                  set_reverse_zones});
  keys.push_back({"user_domain", "a domain name of at most 185 characters (users.example.net)", "",
                  domain(&Settings::user_domain)});
  keys.push_back({"user_zone", "the domain name of the zone that user_domain lies in (example.net)", "",
                  domain(&Settings::user_zone)});
  keys.push_back({"dns_ttl", "10 to 86400 (seconds)", "600",
                  config::number(
                      [](Config & config) -> auto& { return config.dns.ttl; }, 10, 86400)});
}

void check_dns(Config& config, config::KeyReport& report) {
  check_reverse_zones(config, report);
  check_user_zone(config, report);
  if (report.is_refused("dns_update_server")) return;
  if (config.dns.publishes()) {
    if (config.dns.update_key.empty()) {
      report.problem("dns_update_server",
                     "needs dns_update_key, the file of a TSIG key that the server accepts; \"tsig-keygen "
                     "sixlink > FILE\" makes one");
    }
    return;
  }
  for (const char* key : {"dns_update_key", "reverse_zone", "dns_ttl"}) {
    if (report.has_value(key)) report.warning(key, "without effect: there is no dns_update_server");
  }
  if (report.has_value("user_domain")) {
    report.warning("user_domain",
                   "clients are told their names, but without dns_update_server nobody publishes them");
  }
}

}  // namespace sixlink::registry
