// SPDX-License-Identifier: BSD-3-Clause
// The table of sixlink.conf's keys: gogoc.conf's names, values and defaults, then our own.
#include <algorithm>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <cctype>
#include <initializer_list>
#include <utility>

#include "src/client/config.h"
#include "src/config/setters.h"

namespace sixlink::client {
namespace {

using Key = config::Key<Config>;
using Setter = std::function<bool(Config&, const std::string&)>;

// gogoc's bounds.
constexpr std::size_t kLongestUserId = 253;
constexpr long kLongestRetryDelay = 3600;
// Ours: a day, and a number of servers nobody reaches who did not paste the wrong file.
constexpr long kLongestKeepaliveInterval = 86400;
constexpr std::size_t kMostServers = 64;
constexpr std::size_t kMostHomeInterfaces = 16;
constexpr std::size_t kLongestRoutingInfo = 32;

constexpr std::string_view kYesNo = "yes or no";
constexpr std::string_view kInterface =
    "an interface name: 1 to 15 letters, digits or \"_.:-\", not beginning with \"-\"";
constexpr std::string_view kPath = "a file's path";
constexpr std::string_view kDirectory = "a directory's path";
constexpr std::string_view kRetryDelay = "0 to 3600 (seconds)";

bool has_control_character(std::string_view text) {
  for (const char c : text) {
    if (std::iscntrl(static_cast<unsigned char>(c))) return true;
  }
  return false;
}

template <typename Enum>
Setter word(Enum Config::*member, std::initializer_list<std::pair<const char*, Enum>> words) {
  return [member, words = std::vector<std::pair<std::string, Enum>>(words.begin(), words.end())](
             Config& config, const std::string& value) {
    const auto lower = config::lower_case(value);
    for (const auto& [name, meaning] : words) {
      if (lower != name) continue;
      config.*member = meaning;
      return true;
    }
    return false;
  };
}

Setter interface(std::string Config::*member) {
  return [member](Config& config, const std::string& value) {
    if (!is_interface_name(value)) return false;
    config.*member = value;
    return true;
  };
}

// Which of the two it may be depends on proxy_client: cross_check().
bool set_home_interfaces(Config& config, const std::string& value) {
  std::vector<std::string> interfaces;
  for (const auto part : config::split_list(value)) {
    if (!is_interface_name(part) && !is_router_interface_name(part)) return false;
    if (interfaces.size() == kMostHomeInterfaces) return false;
    if (std::find(interfaces.begin(), interfaces.end(), part) != interfaces.end()) return false;
    interfaces.emplace_back(part);
  }
  config.home_interfaces = std::move(interfaces);
  return true;
}

// A word, as the name of a routing protocol is; it goes into XML.
bool set_routing_info(Config& config, const std::string& value) {
  const auto is_plain = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; };
  if (value.size() > kLongestRoutingInfo || !std::all_of(value.begin(), value.end(), is_plain)) return false;
  config.routing_info = value;
  return true;
}

// `may_be_empty`: for gogoc_dir, whose default is the installation's directory.
Setter path(std::string Config::*member, bool may_be_empty = false) {
  return [member, may_be_empty](Config& config, const std::string& value) {
    if ((value.empty() && !may_be_empty) || has_control_character(value)) return false;
    config.*member = value;
    return true;
  };
}

bool set_user_id(Config& config, const std::string& value) {
  if (value.size() > kLongestUserId || has_control_character(value)) return false;
  config.user_id = value;
  return true;
}

bool set_password(Config& config, const std::string& value) {
  config.password = pki::Secret(value);
  return true;
}

bool set_servers(Config& config, const std::string& value) {
  std::vector<net::ServerAddress> servers;
  for (const auto part : config::split_list(value)) {
    auto server = net::ServerAddress::parse(part);
    if (!server || servers.size() == kMostServers) return false;
    servers.push_back(std::move(*server));
  }
  config.servers = std::move(servers);
  return true;
}

bool set_dns_servers(Config& config, const std::string& value) {
  std::vector<std::string> servers;
  std::string_view rest = value;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const auto name = rest.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    if (name.empty()) continue;
    boost::system::error_code not_an_address;
    boost::asio::ip::make_address_v4(name, not_an_address);
    if (not_an_address && !net::is_host_name(name)) return false;
    servers.emplace_back(name);
  }
  config.dns_servers = std::move(servers);
  return true;
}

bool set_client_v4(Config& config, const std::string& value) {
  if (config::lower_case(value) == "auto") {
    config.client_v4 = "auto";
    return true;
  }
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address_v4(value, error);
  if (error || address.is_unspecified() || address.is_multicast()) return false;
  config.client_v4 = address.to_string();
  return true;
}

bool set_client_v6(Config& config, const std::string& value) {
  if (config::lower_case(value) == "auto") {
    config.client_v6 = "auto";
    return true;
  }
  const auto address = net::parse_v6(value);
  if (!address || address->is_unspecified() || address->is_multicast()) return false;
  config.client_v6 = address->to_string();
  return true;
}

Setter address_v4(boost::asio::ip::address_v4 Config::*member) {
  return [member](Config& config, const std::string& value) {
    const auto address = net::parse_v4(value);
    if (!address || !net::is_unicast(*address)) return false;
    config.*member = *address;
    return true;
  };
}

std::vector<Key> make_keys() {
  using enum AuthMethod;
  using enum HostType;
  using enum TunnelMode;
  std::vector<Key> keys = {
      {"server",
       "names or addresses of brokers, each with an optional :port, separated by blanks or commas "
       "(broker.example.net 192.0.2.1:3653 [2001:db8::1])",
       "", set_servers},
      {"userid", "up to 253 characters", "", set_user_id},
      {"passwd", "the rest of the line", "", set_password, config::ValueKind::kSecret},
      {"auth_method", "anonymous, any, passdss-3des-1, digest-md5 or plain", "anonymous",
       word(&Config::auth_method, {{"anonymous", kAnonymous},
                                   {"any", kAny},
                                   {"passdss-3des-1", kPassDss3Des1},
                                   {"digest-md5", kDigestMd5},
                                   {"plain", AuthMethod::kPlain}})},
      {"host_type", "host or router", "host",
       word(&Config::host_type, {{"host", kHost}, {"router", kRouter}})},
      {"prefixlen", "0 to 64", "64", config::number(&Config::prefix_length, 0, 64)},
      {"if_prefix", "names of interfaces, separated by blanks or commas, each once", "", set_home_interfaces},
      {"dns_server", "names of DNS servers, separated by colons", "", set_dns_servers},
      {"routing_info", "the name of a routing protocol: letters, digits or \"-_.\"", "", set_routing_info},
      {"gogoc_dir", kDirectory, "", path(&Config::home_dir, true)},
      {"auto_retry_connect", kYesNo, "yes", config::yes_no(&Config::auto_retry_connect)},
      {"retry_delay", kRetryDelay, "30", config::number(&Config::retry_delay, 0, kLongestRetryDelay)},
      {"retry_delay_max", kRetryDelay, "300",
       config::number(&Config::retry_delay_max, 0, kLongestRetryDelay)},
      {"keepalive", kYesNo, "yes", config::yes_no(&Config::keepalive)},
      {"keepalive_interval", "0 to 86400 (seconds)", "30",
       config::number(&Config::keepalive_interval, 0, kLongestKeepaliveInterval)},
      {"tunnel_mode", "v6anyv4, v6udpv4, v6v4, v4v6, dslite, wireguard or any", "v6anyv4",
       word(&Config::tunnel_mode, {{"v6anyv4", kV6AnyV4},
                                   {"v6udpv4", kV6UdpV4},
                                   {"v6v4", kV6V4},
                                   {"v4v6", kV4V6},
                                   {"dslite", kDsLite},
                                   {"wireguard", kWireguard},
                                   {"any", TunnelMode::kAnyMode}})},
      {"if_tunnel_v6v4", kInterface, platform::kTunnelV6V4, interface(&Config::interface_v6v4)},
      {"if_tunnel_v6udpv4", kInterface, "tun", interface(&Config::interface_v6udpv4)},
      {"if_tunnel_v4v6", kInterface, platform::kTunnelV4V6, interface(&Config::interface_v4v6)},
      {"client_v4", "auto or an IPv4 address of this machine", "auto", set_client_v4},
      {"client_v6", "auto or an IPv6 address of this machine", "auto", set_client_v6},
      {"template", config::kTemplateNames, platform::kTemplateName,
       config::template_name(&Config::template_name)},
      {"dslite_client", "an IPv4 address", "192.0.0.2", address_v4(&Config::dslite_client)},
      {"dslite_server", "an IPv4 address", "192.0.0.1", address_v4(&Config::dslite_server)},
      {"proxy_client", kYesNo, "no", config::yes_no(&Config::proxy_client)},
      {"broker_list", kPath, "tsp-broker-list.txt", path(&Config::broker_list)},
      {"last_server", kPath, "tsp-last-server.txt", path(&Config::last_server)},
      {"always_use_same_server", kYesNo, "no", config::yes_no(&Config::always_use_same_server)},
  };
  log::append_log_keys(keys, &Config::log, "/var/log/sixlink.log");
  keys.push_back(
      {"server_order", "closest or listed", "closest",
       word(&Config::server_order, {{"closest", ServerOrder::kClosest}, {"listed", ServerOrder::kListed}})});
  keys.push_back(
      {"default_route", "backup, yes or no", "backup",
       word(&Config::default_route,
            {{"backup", DefaultRoute::kBackup}, {"yes", DefaultRoute::kYes}, {"no", DefaultRoute::kNo}})});
  keys.push_back({"datapath", "auto, kernel or userspace", "auto",
                  word(&Config::datapath, {{"auto", DatapathChoice::kAuto},
                                           {"kernel", DatapathChoice::kKernel},
                                           {"userspace", DatapathChoice::kUserspace}})});
  keys.push_back({"threads", config::kThreads, "auto", config::threads(&Config::threads)});
  keys.push_back({"offload", config::kOffload, "auto", config::offload(&Config::offload)});
  keys.push_back({"if_tunnel_wireguard", kInterface, "wg6", interface(&Config::interface_wireguard)});
  keys.push_back({"private_key_file", kPath, "wireguard.key", path(&Config::private_key_file)});
  keys.push_back({"run_dir", kDirectory, platform::kRunDirectory, path(&Config::run_dir)});
  keys.push_back({"state_dir", kDirectory, "/var/lib/sixlink", path(&Config::state_dir)});
  append_mesh_keys(keys);
  return keys;
}

}  // namespace

const std::vector<Key>& config_keys() {
  static const std::vector<Key> keys = make_keys();
  return keys;
}

bool is_router_interface_name(std::string_view text) {
  constexpr std::size_t kLongest = 64;  // ours: real ones have about 30
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || text.size() > kLongest || !is_letter(text.front()) || !is_digit(text.back()))
    return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_letter(c) || is_digit(c) || std::string_view("/.:-").find(c) != std::string_view::npos;
  });
}

bool is_interface_name(std::string_view text) {
  constexpr std::size_t kLongest = 15;  // IFNAMSIZ less the NUL
  // "all" and "default" stand for every interface in /proc/sys/net.
  if (text.empty() || text.size() > kLongest || text.front() == '-' || text == "." || text == ".." ||
      text == "all" || text == "default") {
    return false;
  }
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && std::string_view("_.:-").find(c) == std::string_view::npos) return false;
  }
  return true;
}

}  // namespace sixlink::client
