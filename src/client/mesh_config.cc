// SPDX-License-Identifier: BSD-3-Clause
// The keys of the mesh.
#include "src/client/mesh_config.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "src/client/config.h"
#include "src/config/setters.h"

namespace sixlink::client {
namespace {

using Key = config::Key<Config>;
using Setter = std::function<bool(Config&, const std::string&)>;

// Ours: more than any node needs, and few enough to be no file that was pasted by mistake.
constexpr std::size_t kMostNeighbours = 64;
constexpr std::size_t kMostGateways = 8;
// More would not be told apart: Babel's metrics end at 65,535.
constexpr std::size_t kMostPreferred = 4;
constexpr std::size_t kMostPorts = 4;
constexpr std::size_t kMostLanInterfaces = 16;
constexpr std::size_t kLongestCommand = 2000;

constexpr std::string_view kTransports = "udp and tcp, the preferred one first, or one of them";
constexpr std::string_view kCommand = "a command for /bin/sh -c, up to 2000 characters";

// Each once, at most `most`. `parse` makes an optional of a word.
template <typename T, typename Parse>
Setter list(std::vector<T> MeshConfig::*member, std::size_t most, const Parse& parse) {
  return [=](Config& config, const std::string& value) {
    std::vector<T> items;
    for (const auto word : config::split_list(value)) {
      auto item = parse(word);
      if (!item || items.size() == most || std::ranges::find(items, *item) != items.end()) return false;
      items.push_back(*std::move(item));
    }
    config.mesh.*member = std::move(items);
    return true;
  };
}

std::optional<mesh::Transport> parse_transport(std::string_view word) {
  const auto lower = config::lower_case(word);
  if (lower == "udp") return mesh::Transport::kUdp;
  if (lower == "tcp") return mesh::Transport::kTcp;
  return std::nullopt;
}

bool set_transports(Config& config, const std::string& value) {
  auto transports = std::move(config.mesh.transports);
  const bool is_good =
      list(&MeshConfig::transports, 2, parse_transport)(config, value) && !config.mesh.transports.empty();
  if (!is_good) config.mesh.transports = std::move(transports);
  return is_good;
}

bool set_disabled(Config& config, const std::string& value) {
  MeshProtocols left;
  for (const auto part : config::split_list(value)) {
    const auto word = config::lower_case(part);
    const bool is_known = word == "udp" || word == "tcp" || word == "udp4" || word == "udp6" ||
                          word == "tcp4" || word == "tcp6" || word == "ipv4" || word == "ipv6";
    if (!is_known) return false;
    if (word == "udp" || word == "udp4" || word == "ipv4") left.udp4 = false;
    if (word == "udp" || word == "udp6" || word == "ipv6") left.udp6 = false;
    if (word == "tcp" || word == "tcp4" || word == "ipv4") left.tcp4 = false;
    if (word == "tcp" || word == "tcp6" || word == "ipv6") left.tcp6 = false;
  }
  config.mesh.protocols = left;
  return true;
}

bool set_registry(Config& config, const std::string& value) {
  if (value.empty()) {
    config.mesh.registry.clear();
    return true;
  }
  auto url = parse_registry_url(value);
  if (!url) return false;
  config.mesh.registry = *std::move(url);
  return true;
}

bool set_client_only(Config& config, const std::string& value) {
  if (value.empty()) {
    config.mesh.client_only.reset();
    return true;
  }
  auto server = net::ServerAddress::parse(value);
  if (!server) return false;
  config.mesh.client_only = std::move(server);
  return true;
}

// "203.0.113.7", "203.0.113.7:3653", "[2001:db8::7]:443/tcp".
std::optional<mesh::ContactEndpoint> parse_endpoint(std::string_view word) {
  mesh::ContactEndpoint endpoint;
  if (const auto slash = word.find('/'); slash != std::string_view::npos) {
    const auto transport = parse_transport(word.substr(slash + 1));
    if (!transport) return std::nullopt;
    endpoint.transport = *transport;
    word = word.substr(0, slash);
  }
  const auto server = net::ServerAddress::parse(word);
  if (!server || !server->is_literal() || server->host.find('%') != std::string::npos) return std::nullopt;
  endpoint.address = boost::asio::ip::make_address(server->host);
  endpoint.port = server->port;
  const bool is_usable = endpoint.address.is_v4()
                             ? net::is_unicast(endpoint.address.to_v4()) && !endpoint.address.is_loopback()
                             : !endpoint.address.is_unspecified() && !endpoint.address.is_multicast() &&
                                   !endpoint.address.is_loopback() &&
                                   !endpoint.address.to_v6().is_link_local() &&
                                   !endpoint.address.to_v6().is_v4_mapped();
  return is_usable ? std::optional(endpoint) : std::nullopt;
}

std::optional<boost::asio::ip::address> parse_gateway(std::string_view word) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(word), error);
  if (error || address.is_unspecified() || address.is_multicast() || address.is_loopback())
    return std::nullopt;
  // Which interface the zone of a link-local address is would change with every start.
  if (address.is_v6() && address.to_v6().scope_id() != 0 && word.find('%') == std::string_view::npos)
    return std::nullopt;
  return address;
}

std::optional<std::uint16_t> parse_port(std::string_view word) {
  long port = 0;
  if (!config::parse_number(word, 1, 65535, port)) return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

bool set_tcp_ports(Config& config, const std::string& value) {
  if (config::lower_case(value) == "none") {
    config.mesh.tcp_ports.clear();
    return true;
  }
  return list(&MeshConfig::tcp_ports, kMostPorts, parse_port)(config, value);
}

// A node's prefix, or the address that it has in it: /64 then, which nearly all have.
std::optional<net::Prefix> parse_node(std::string_view word) {
  if (word.find('/') == std::string_view::npos) {
    const auto address = net::parse_v6(word);
    if (!address || !net::is_inner_unicast(*address)) return std::nullopt;
    return net::Prefix::make(net::mask(*address, 64), 64);
  }
  const auto prefix = net::Prefix::parse(word);
  if (!prefix || prefix->length > 64 || !net::is_inner_unicast(prefix->address)) return std::nullopt;
  return prefix;
}

std::optional<std::string> parse_interface(std::string_view word) {
  return is_interface_name(word) ? std::optional(std::string(word)) : std::nullopt;
}

// Empty: as the network has it.
template <typename T>
Setter override_number(std::optional<T> MeshConfig::*member, long low, long high) {
  return [=](Config& config, const std::string& value) {
    long number = 0;
    if (config::lower_case(value) == "network") {
      (config.mesh.*member).reset();
      return true;
    }
    if (!config::parse_number(value, low, high, number)) return false;
    config.mesh.*member = T(static_cast<int>(number));
    return true;
  };
}

Setter command(std::string MeshConfig::*member) {
  return [member](Config& config, const std::string& value) {
    const auto is_control = [](unsigned char c) { return std::iscntrl(c) && c != '\t'; };
    if (value.size() > kLongestCommand || std::any_of(value.begin(), value.end(), is_control)) return false;
    config.mesh.*member = value;
    return true;
  };
}

// A name to look for in PATH, or an absolute path.
bool set_babeld(Config& config, const std::string& value) {
  const auto is_control = [](unsigned char c) { return std::iscntrl(c); };
  if (value.size() > 1024 || std::any_of(value.begin(), value.end(), is_control)) return false;
  if (value.front() != '/' && value.find('/') != std::string::npos) return false;
  config.mesh.babeld = value;
  return true;
}

bool set_main_interface(Config& config, const std::string& value) {
  if (!is_interface_name(value)) return false;
  config.mesh.main_interface = value;
  return true;
}

// For config::number() and config::yes_no().
template <typename T>
auto of_mesh(T MeshConfig::*member) {
  return [member](Config& config) -> T& { return config.mesh.*member; };
}

}  // namespace

std::optional<std::string> parse_registry_url(std::string_view text) {
  constexpr std::string_view kScheme = "https://";
  if (text.size() < kScheme.size() || config::lower_case(text.substr(0, kScheme.size())) != kScheme)
    return std::nullopt;
  auto rest = text.substr(kScheme.size());
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  const auto server = net::ServerAddress::parse(rest);
  // The zone of a link-local address means nothing elsewhere; without brackets IPv6 is no URL.
  if (!server || rest.find('%') != std::string_view::npos) return std::nullopt;
  if (rest.front() != '[' && std::count(rest.begin(), rest.end(), ':') > 1) return std::nullopt;
  return std::string(kScheme) + config::lower_case(rest);
}

void append_mesh_keys(std::vector<Key>& keys) {
  const auto number = [](auto member, long low, long high) {
    return config::number(of_mesh(member), low, high);
  };
  const std::vector<Key> ours = {
      {"registry", "https://HOST or https://HOST:PORT", "", set_registry},
      {"neighbour", "prefixes or addresses of nodes (2001:db8:42:7::/64), separated by blanks or commas", "",
       list(&MeshConfig::neighbours, kMostNeighbours, parse_node)},
      {"client_only", "a node's name or address, with an optional :port", "", set_client_only},
      {"endpoint",
       "up to 8 addresses, each with an optional :port and an optional /udp or /tcp (203.0.113.7:3653 "
       "[2001:db8::7]:443/tcp)",
       "", list(&MeshConfig::endpoints, mesh::Contact::kMostEndpoints, parse_endpoint)},
      {"remote_gateway", "addresses of up to 8 gateways, separated by blanks or commas", "",
       list(&MeshConfig::remote_gateways, kMostGateways, parse_gateway)},
      {"disable_proto", "any of udp, udp4, udp6, tcp, tcp4, tcp6, ipv4 and ipv6, but not all", "",
       set_disabled},
      {"link_transport", kTransports, "udp tcp", set_transports},
      {"link_port", "1 to 65535", "3653", number(&MeshConfig::port, 1, 65535)},
      {"link_tcp_port", "up to 4 ports, separated by blanks or commas, or none", "3653", set_tcp_ports},
      {"link_mtu", "1280 to 1420", "1420", number(&MeshConfig::mtu, 1280, 1420)},
      {"gateway", "yes or no", "no", config::yes_no(of_mesh(&MeshConfig::is_gateway))},
      {"prefer_gateway",
       "up to 4 prefixes or addresses of nodes (2001:db8:42:7::/64), the best first, separated by blanks or "
       "commas",
       "", list(&MeshConfig::preferred_gateways, kMostPreferred, parse_node)},
      {"main_interface", "an interface name: 1 to 15 letters, digits or \"_.:-\", not beginning with \"-\"",
       "lo", set_main_interface},
      {"lan_interface", "names of interfaces, separated by blanks or commas, each once", "",
       list(&MeshConfig::lan_interfaces, kMostLanInterfaces, parse_interface)},
      {"port_mapping", "yes or no", "yes", config::yes_no(of_mesh(&MeshConfig::port_mapping))},
      {"client_count", "network or 0 to 100", "network", override_number(&MeshConfig::client_count, 0, 100)},
      {"tunnel_refresh", "network or 10 to 86400 (seconds)", "network",
       override_number(&MeshConfig::tunnel_refresh, 10, 86400)},
      {"most_served", "0 (twice client_count) to 1000", "0", number(&MeshConfig::most_served, 0, 1000)},
      {"babeld", "a program's name or absolute path", "babeld", set_babeld},
      {"up", kCommand, "", command(&MeshConfig::up)},
      {"daemon", kCommand, "", command(&MeshConfig::daemon)},
  };
  keys.insert(keys.end(), ours.begin(), ours.end());
}

void cross_check_mesh(const Config& config, config::KeyReport& report) {
  const auto problem = [&](std::string_view key, std::string message) {
    if (!report.is_refused(key)) report.problem(key, std::move(message));
  };
  const auto& mesh = config.mesh;
  if (report.is_refused("registry")) return;
  if (!mesh.is_node()) {
    // Without a default there is no other reason to have them in a file.
    for (const char* key : {"neighbour", "client_only", "endpoint", "remote_gateway", "disable_proto",
                            "prefer_gateway", "lan_interface", "up", "daemon"}) {
      if (report.has_value(key))
        problem(key, "is for a node of a mesh: set registry too, or run sixlink join URL");
    }
    return;
  }
  if (!config.servers.empty()) {
    problem("server",
            "this is a tunnel client's, and registry makes the program a node of a mesh: remove one of them; "
            "for both, give each a file of its own and start sixlink -f FILE twice");
  }
  const auto is_possible = [&](mesh::Transport transport) { return mesh.protocols.has(transport); };
  if (!is_possible(mesh::Transport::kUdp) && !is_possible(mesh::Transport::kTcp)) {
    problem("disable_proto",
            "leaves nothing that links could be carried by; leave one of udp4, udp6, tcp4, tcp6");
  } else if (std::none_of(mesh.transports.begin(), mesh.transports.end(), is_possible)) {
    problem("link_transport", "has only what disable_proto takes away; add the other one, or disable less");
  }
  if (mesh.client_only && !mesh.neighbours.empty()) {
    problem("neighbour", "client_only makes one link and no other: remove one of the two");
  }
  if (mesh.is_gateway && !mesh.preferred_gateways.empty()) {
    problem(
        "prefer_gateway",
        "gateway=yes takes no default route of others, so that there is none to prefer: remove one of the "
        "two");
  }
  if (mesh.client_only && mesh.is_gateway) {
    problem("gateway", "client_only makes a node that carries nothing for others: remove one of the two");
  }
}

}  // namespace sixlink::client
