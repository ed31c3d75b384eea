// SPDX-License-Identifier: BSD-3-Clause
// The keys of sixlink-registry.conf and the checks between them.
#include "registry/config.h"

#include <algorithm>
#include <boost/asio/ip/address_v4.hpp>
#include <cctype>
#include <filesystem>
#include <utility>

#include "registry/config_dns.h"
#include "registry/config_mesh.h"
#include "registry/config_redirect.h"
#include "registry/config_wireguard.h"
#include "registry/listen_addresses.h"
#include "src/config/setters.h"

namespace sixlink::registry {
namespace {

using Key = config::Key<Config>;
using Setter = std::function<bool(Config&, const std::string&)>;

constexpr int kShortestPrefix = 32;  // what a registry (RIR) gives a provider
constexpr int kLongestPrefix = 64;
// IPv6 needs 1280 (RFC 8200 section 5). What an Ethernet of 1500 carries of each mode.
constexpr long kSmallestMtu = 1280;
constexpr int kLargestMtuV6UdpV4 = 1472;
constexpr int kLargestMtuV6V4 = 1480;
constexpr int kLargestMtuV4V6 = 1460;
constexpr int kLargestMtuWireguard = 1420;  // also over IPv6; what wg-quick(8) takes
// An IPv4 prefix holds a network, the broker, a client and a broadcast address at least, and no more than
// what a provider is given.
constexpr int kShortestPrefixV4 = 8;
constexpr int kLongestPrefixV4 = 30;
constexpr long kYear = 31536000;
constexpr long kMostSessions = 1000000;

constexpr std::string_view kYesNo = "yes or no";
constexpr std::string_view kDirectory = "a directory's path";
constexpr std::string_view kDelegation = "33 to 64, a prefix length";
constexpr std::string_view kDelegationV4 = "9 to 32, a prefix length";

// A member of the policy within the configuration.
template <typename Value>
auto in_leases(Value LeasePolicy::*member) {
  return [member](Config& config) -> Value& { return config.leases.*member; };
}

Setter directory(std::string Config::*member) {
  return [member](Config& config, const std::string& value) {
    if (value.empty()) return false;
    config.*member = value;
    return true;
  };
}

bool set_prefix(Config& config, const std::string& value) {
  const auto prefix = net::Prefix::parse(value);
  if (!prefix || prefix->length < kShortestPrefix || prefix->length > kLongestPrefix) return false;
  if (!net::is_inner_unicast(prefix->address)) return false;
  config.leases.prefix = *prefix;
  return true;
}

bool set_prefix_v4(Config& config, const std::string& value) {
  config.leases.prefix_v4.reset();
  if (value.empty()) return true;
  const auto prefix = net::PrefixV4::parse(value);
  if (!prefix || prefix->length < kShortestPrefixV4 || prefix->length > kLongestPrefixV4) return false;
  if (!net::is_unicast(prefix->address) || prefix->address.is_loopback()) return false;
  config.leases.prefix_v4 = prefix;
  return true;
}

bool set_prefer(Config& config, const std::string& value) {
  const auto mode = config::lower_case(value);
  if (!mode.empty() && mode != "v6udpv4" && mode != "v6v4") return false;
  config.prefers_v6v4 = mode == "v6v4";
  return true;
}

bool set_listen(Config& config, const std::string& value) {
  auto listen = parse_listen_addresses(value, net::kTspPort);
  if (!listen) return false;
  config.listen = *std::move(listen);
  return true;
}

bool set_server_v4(Config& config, const std::string& value) {
  if (value.empty()) {
    config.advertised_v4.reset();
    return true;
  }
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address_v4(value, error);
  if (error || address.is_unspecified() || address.is_multicast() || address.is_loopback()) return false;
  config.advertised_v4 = address;
  return true;
}

bool set_tunnel_modes(Config& config, const std::string& value) {
  bool v6udpv4 = false;
  bool v6v4 = false;
  bool v4v6 = false;
  for (const auto part : config::split_list(value)) {
    const auto lower = config::lower_case(part);
    if (lower != "v6udpv4" && lower != "v6v4" && lower != "v4v6") return false;
    (lower == "v6udpv4" ? v6udpv4 : lower == "v6v4" ? v6v4 : v4v6) = true;
  }
  if (!v6udpv4 && !v6v4 && !v4v6) return false;
  config.mode_v6udpv4 = v6udpv4;
  config.mode_v6v4 = v6v4;
  config.mode_v4v6 = v4v6;
  return true;
}

// It stands in quotes in DIGEST-MD5's challenge, where deployed clients know no escapes.
bool set_realm(Config& config, const std::string& value) {
  if (value.empty() || value.size() > 64) return false;
  for (const char c : value) {
    if (c < ' ' || c > '~' || c == '"' || c == '\\') return false;
  }
  config.realm = value;
  return true;
}

bool set_interface(Config& config, const std::string& value) {
  if (!is_interface_name(value)) return false;
  config.interface = value;
  return true;
}

bool set_dns_server(Config& config, const std::string& value) {
  if (value.empty()) {
    config.dns_server.reset();
    return true;
  }
  const auto address = net::parse_v6(value);
  if (!address || !net::is_inner_unicast(*address)) return false;
  config.dns_server = address;
  return true;
}

std::vector<Key> make_keys() {
  std::vector<Key> keys = {
      {"prefix",
       "a prefix of 32 to 64 bits of global or unique local addresses, without host bits (2001:db8:42::/48)",
       "", set_prefix},
      {"listen",
       "addresses, each with an optional :port, IPv6 with a port in brackets, separated by blanks or commas "
       "(0.0.0.0 "
       "[::]:3653)",
       "0.0.0.0 [::]", set_listen},
      {"server_v4", "an IPv4 address", "", set_server_v4},
      {"anonymous", kYesNo, "yes", config::yes_no(&Config::anonymous)},
      {"anonymous_prefix", kYesNo, "no", config::yes_no(in_leases(&LeasePolicy::anonymous_prefix))},
      {"anonymous_lifetime", "60 to 31536000 (seconds)", "86400",
       config::number(in_leases(&LeasePolicy::anonymous_lifetime), 60, kYear)},
      {"anonymous_per_address", "1 to 1000000", "256",
       config::number(in_leases(&LeasePolicy::anonymous_per_address), 1, kMostSessions)},
      {"auth_plain", kYesNo, "yes", config::yes_no(&Config::auth_plain)},
      {"auth_digest_md5", kYesNo, "yes", config::yes_no(&Config::auth_digest_md5)},
      {"auth_passdss", kYesNo, "yes", config::yes_no(&Config::auth_passdss)},
      {"realm", "1 to 64 printable ASCII characters without \" and \\", "sixlink", set_realm},
      {"prefix_length_min", kDelegation, "56",
       config::number(in_leases(&LeasePolicy::shortest_delegation), kShortestPrefix + 1, kLongestPrefix)},
      {"prefix_length_max", kDelegation, "64",
       config::number(in_leases(&LeasePolicy::longest_delegation), kShortestPrefix + 1, kLongestPrefix)},
      {"prefix_v4", "an IPv4 prefix of 8 to 30 bits without host bits (203.0.113.0/24), or nothing", "",
       set_prefix_v4},
      {"prefix_v4_length_min", kDelegationV4, "29",
       config::number(in_leases(&LeasePolicy::shortest_delegation_v4), kShortestPrefixV4 + 1, 32)},
      {"prefix_v4_length_max", kDelegationV4, "32",
       config::number(in_leases(&LeasePolicy::longest_delegation_v4), kShortestPrefixV4 + 1, 32)},
      {"tunnel_modes", "one or more of v6udpv4, v6v4 and v4v6, separated by blanks", "v6udpv4 v6v4 v4v6",
       set_tunnel_modes},
      {"prefer", "v6udpv4 or v6v4", "v6udpv4", set_prefer},
      {"proxy", kYesNo, "no", config::yes_no(&Config::proxy)},
      {"interface", "an interface name: 1 to 15 letters, digits or \"_.-\", not beginning with \"-\"",
       "sixlink0", set_interface},
      {"mtu", "1280 to 1480", "1280", config::number(&Config::mtu, kSmallestMtu, kLargestMtuV6V4)},
      {"threads", config::kThreads, "auto", config::threads(&Config::threads)},
      {"offload", config::kOffload, "auto", config::offload(&Config::offload)},
      {"dns_server", "an IPv6 address", "", set_dns_server},
      {"lifetime", "60 to 31536000 (seconds)", "604800", config::number(&Config::lifetime, 60, kYear)},
      {"keepalive_interval_min", "1 to 3600 (seconds)", "5",
       config::number(&Config::keepalive_interval_min, 1, 3600)},
      {"max_sessions", "1 to 1000000", "4096", config::number(&Config::max_sessions, 1, kMostSessions)},
      {"sessions_per_address", "1 to 1000000", "256",
       config::number(&Config::sessions_per_address, 1, kMostSessions)},
      {"login_attempts_per_minute", "1 to 60000", "20",
       config::number(&Config::login_attempts_per_minute, 1, 60000)},
      {"requests_per_second", "1 to 100000", "50", config::number(&Config::requests_per_second, 1, 100000)},
      {"template", config::kTemplateNames, platform::kTemplateName,
       config::template_name(&Config::template_name)},
      {"run_dir", kDirectory, platform::kRunDirectory, directory(&Config::run_dir)},
      {"state_dir", kDirectory, "/var/lib/sixlink", directory(&Config::state_dir)},
  };
  append_wireguard_keys(keys);
  append_dns_keys(keys);
  append_redirect_keys(keys);
  append_mesh_keys(keys);
  log::append_log_keys(keys, &Config::log, "/var/log/sixlink-registry.log");
  return keys;
}

// What the keys demand of each other.
class CrossCheck {
 public:
  CrossCheck(Config& config, config::KeyReport& report) : config_(config), report_(report) {}

  void run() {
    check_prefix();
    check_delegation();
    check_v4v6();
    check_listen();
    check_wireguard(config_, report_);
    check_authentication();
    check_dns(config_, report_);
    check_redirect(config_, report_);
    check_mesh(config_, report_);
  }

 private:
  void check_prefix() {
    if (config_.serves_tunnels() || report_.is_refused("prefix")) return;
    // A registry of a mesh alone.
    if (config_.mesh.network || report_.is_refused("network")) return;
    report_.problem(
        "prefix",
        "the registry's prefix is missing; add a line such as prefix=2001:db8:42::/48 (or network=, "
        "for a mesh without tunnels)");
  }

  void check_delegation() {
    LeasePolicy& leases = config_.leases;
    if (report_.is_refused("prefix") || report_.is_refused("prefix_length_min") ||
        report_.is_refused("prefix_length_max"))
      return;
    if (leases.prefix.length > kLongestPrefix) return;
    if (leases.prefix.length == kLongestPrefix) {
      for (const char* key : {"prefix_length_min", "prefix_length_max", "anonymous_prefix"}) {
        if (report_.is_given(key))
          report_.warning(key, "without effect: a /64 holds the tunnels only, nothing is delegated");
      }
      return;
    }
    // The default serves a registry with a long prefix, too.
    if (!report_.is_given("prefix_length_min")) {
      leases.shortest_delegation = std::max(leases.shortest_delegation, leases.prefix.length + 1);
      if (report_.is_given("prefix_length_max")) {
        leases.shortest_delegation = std::min(leases.shortest_delegation, leases.longest_delegation);
      }
    }
    if (leases.shortest_delegation <= leases.prefix.length) {
      const bool is_max = !report_.is_given("prefix_length_min");
      report_.problem(is_max ? "prefix_length_max" : "prefix_length_min",
                      std::to_string(leases.shortest_delegation) +
                          " is not longer than the registry's own prefix (" + leases.prefix.to_string() +
                          "), which also holds the tunnels; give " +
                          std::to_string(leases.prefix.length + 1) + " or more");
    } else if (leases.shortest_delegation > leases.longest_delegation) {
      report_.problem("prefix_length_min",
                      "is " + std::to_string(leases.shortest_delegation) + ", more than prefix_length_max=" +
                          std::to_string(leases.longest_delegation) + "; lower one or raise the other");
    }
    if (!config_.anonymous && leases.anonymous_prefix) {
      report_.warning("anonymous_prefix", "without effect with anonymous=no");
    }
  }

  // What is not told otherwise serves v4v6 when it can.
  void check_v4v6() {
    LeasePolicy& leases = config_.leases;
    const bool is_refused = report_.is_refused("prefix_v4") || report_.is_refused("tunnel_modes");
    if (!leases.prefix_v4) {
      if (config_.mode_v4v6 && report_.has_value("tunnel_modes") && !is_refused) {
        report_.problem("tunnel_modes",
                        "v4v6 needs IPv4 addresses to give out; add a line such as prefix_v4=203.0.113.0/24");
      }
      config_.mode_v4v6 = false;
      for (const char* key : {"prefix_v4_length_min", "prefix_v4_length_max"}) {
        if (report_.has_value(key) && !is_refused) report_.warning(key, "without effect without prefix_v4");
      }
      return;
    }
    if (!config_.mode_v4v6 && report_.has_value("tunnel_modes")) {
      if (!config_.wireguard.is_served) {
        report_.warning("prefix_v4", "without effect: tunnel_modes does not have v4v6, and wireguard=no");
        return;
      }
    } else {
      config_.mode_v4v6 = true;
    }
    if (report_.is_refused("prefix_v4_length_min") || report_.is_refused("prefix_v4_length_max")) return;
    if (!report_.is_given("prefix_v4_length_min")) {
      leases.shortest_delegation_v4 = std::max(leases.shortest_delegation_v4, leases.prefix_v4->length + 1);
      leases.shortest_delegation_v4 = std::min(leases.shortest_delegation_v4, leases.longest_delegation_v4);
    }
    if (leases.shortest_delegation_v4 <= leases.prefix_v4->length) {
      const bool is_max = !report_.is_given("prefix_v4_length_min");
      report_.problem(is_max ? "prefix_v4_length_max" : "prefix_v4_length_min",
                      std::to_string(leases.shortest_delegation_v4) +
                          " is not longer than prefix_v4=" + leases.prefix_v4->to_string() + "; give " +
                          std::to_string(leases.prefix_v4->length + 1) + " or more");
    } else if (leases.shortest_delegation_v4 > leases.longest_delegation_v4) {
      report_.problem("prefix_v4_length_min",
                      "is " + std::to_string(leases.shortest_delegation_v4) +
                          ", more than prefix_v4_length_max=" + std::to_string(leases.longest_delegation_v4) +
                          "; lower one or raise the other");
    }
  }

  void check_listen() {
    for (auto one = config_.listen.begin(); one != config_.listen.end(); ++one) {
      const auto same = [&](const ListenAddress& other) {
        return other.address == one->address && other.port == one->port;
      };
      if (std::find_if(config_.listen.begin(), one, same) == one) continue;
      report_.problem("listen", one->address.to_string() + " port " + std::to_string(one->port) +
                                    " is there twice; remove one");
    }
  }

  void check_authentication() {
    if (config_.anonymous || config_.auth_plain || config_.auth_digest_md5 || config_.auth_passdss) return;
    if (report_.is_refused("anonymous") || report_.is_refused("auth_plain") ||
        report_.is_refused("auth_digest_md5") || report_.is_refused("auth_passdss"))
      return;
    report_.problem("anonymous",
                    "nobody can log in: set anonymous, auth_plain, auth_digest_md5 or auth_passdss to yes");
  }

  Config& config_;
  config::KeyReport& report_;
};

std::string in_directory(const std::string& directory, std::string_view name) {
  return directory + (directory.empty() || directory.back() == '/' ? "" : "/") + std::string(name);
}

void make_absolute(std::string& path) {
  std::error_code ignored;
  auto absolute = std::filesystem::absolute(path, ignored);
  if (!ignored) path = absolute.lexically_normal().string();
}

}  // namespace

int Config::mode_mtu(LeaseMode mode) const {
  switch (mode) {
    case LeaseMode::kV6UdpV4:
      return std::min(mtu, kLargestMtuV6UdpV4);
    case LeaseMode::kV6V4:
      return std::min(mtu, kLargestMtuV6V4);
    case LeaseMode::kV4V6:
      return std::min(mtu, kLargestMtuV4V6);
    case LeaseMode::kWireguard:
      return std::min(mtu, kLargestMtuWireguard);
  }
  return mtu;
}

std::string Config::database_path() const {
  return in_directory(state_dir, "registry.db");
}

std::string Config::mesh_database() const {
  return mesh.database.empty() ? in_directory(state_dir, "mesh.db") : mesh.database;
}

std::string Config::authority_directory() const {
  return in_directory(state_dir, "ca");
}

std::string Config::host_key_path() const {
  return in_directory(state_dir, "passdss-host-key.pem");
}

std::string Config::wireguard_key_path() const {
  return in_directory(state_dir, "wireguard.key");
}

std::string Config::control_path() const {
  return run_dir + "/" + instance_name() + ".sock";
}

std::string Config::instance_name() const {
  auto name = std::filesystem::path(path).stem().string();
  return name.empty() || name == "." || name == ".." ? "sixlink-registry" : name;
}

const std::vector<Key>& config_keys() {
  static const std::vector<Key> keys = make_keys();
  return keys;
}

LoadedConfig parse_config(const std::string& path, std::string_view text) {
  auto file = config::parse_key_values(text);
  config::TableLoader<Config> loader(config_keys(), "sixlink-registry.conf(5)", std::move(file.problems));
  for (auto& entry : file.entries) loader.take(entry);
  loader.config().path = path;
  CrossCheck(loader.config(), loader.report()).run();
  return loader.finish();
}

LoadedConfig load_config(const std::string& path) {
  auto result =
      config::load_file(path, "write one with \"sixlink-registry init --prefix PREFIX\"", &parse_config);
  if (result.config) {
    make_absolute(result.config->log.filename);
    make_absolute(result.config->run_dir);
    make_absolute(result.config->state_dir);
    if (!result.config->dns.update_key.empty()) make_absolute(result.config->dns.update_key);
    auto& authorities = result.config->mesh.mail.authorities;
    if (!authorities.empty()) make_absolute(authorities);
  }
  return result;
}

}  // namespace sixlink::registry
