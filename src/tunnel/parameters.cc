// SPDX-License-Identifier: BSD-3-Clause
// A tunnel is a record.
#include "src/tunnel/parameters.h"

#include <algorithm>

namespace sixlink::tunnel {
namespace {

// No outer path is asked for more; a broker that offers more would only cause outer fragments.
constexpr int kLargestOuterMtu = 1500;

std::string_view to_string(HostType type) {
  switch (type) {
    case HostType::kHost:
      return "host";
    case HostType::kRouter:
      return "router";
    case HostType::kBroker:
      return "broker";
  }
  return "";
}

std::string_view to_string(DefaultRoute route) {
  switch (route) {
    case DefaultRoute::kBackup:
      return "backup";
    case DefaultRoute::kYes:
      return "yes";
    case DefaultRoute::kNo:
      return "no";
  }
  return "";
}

std::string_view to_string(InterfaceKind kind) {
  switch (kind) {
    case InterfaceKind::kTun:
      return "tun";
    case InterfaceKind::kKernel:
      return "kernel";
    case InterfaceKind::kNone:
      return "none";
  }
  return "";
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string text_unless_unspecified(const boost::asio::ip::address& address) {
  return address.is_unspecified() ? std::string() : address.to_string();
}

template <typename Set>
void set_wireguard(const TunnelParameters& p, const Set& set) {
  std::vector<std::string> allowed;
  for (const auto& prefix : allowed_of(p)) {
    const auto v4 = net::unmapped(prefix);
    allowed.push_back(v4 ? v4->to_string() : prefix.to_string());
  }
  set("SIXLINK_ALLOWED", joined(allowed));
  set("SIXLINK_WIREGUARD_CONF", p.wireguard_conf);
  if (p.host_type == HostType::kBroker) set("SIXLINK_WIREGUARD_ROUTES", p.wireguard_routes);
}

}  // namespace

int encapsulation_overhead(tsp::Mode mode, bool is_outer_v6) {
  const int ip = is_outer_v6 ? 40 : 20;
  // Type, receiver, counter and tag; UDP.
  constexpr int kWireguard = 32 + 8;
  if (mode == tsp::Mode::kWireguard) return ip + kWireguard;
  return mode == tsp::Mode::kV6UdpV4 ? ip + 8 : ip;
}

int least_mtu(tsp::Mode mode) {
  return mode == tsp::Mode::kV4V6 ? 576 : 1280;
}

TunnelParameters from_info(const tsp::TunnelInfo& info) {
  TunnelParameters parameters;
  parameters.mode = info.mode;
  const bool is_v4_inside = info.mode == tsp::Mode::kV4V6;
  if (info.mode == tsp::Mode::kWireguard) {
    parameters.client_inner = info.client_v6;
    parameters.server_inner = info.server_v6;
    if (!info.client_v4.is_unspecified()) {
      parameters.client_inner_v4 = info.client_v4;
      parameters.server_inner_v4 = info.server_v4;
    }
    parameters.wireguard = info.wireguard;
    parameters.server_outer = info.wireguard->endpoint_address;
    parameters.server_port = info.wireguard->endpoint_port;
  } else if (is_v4_inside) {
    parameters.client_outer = info.client_v6;
    parameters.server_outer = info.server_v6;
    parameters.client_inner = info.client_v4;
    parameters.server_inner = info.server_v4;
  } else {
    parameters.client_outer = info.client_v4;
    parameters.server_outer = info.server_v4;
    parameters.client_inner = info.client_v6;
    parameters.server_inner = info.server_v6;
  }
  parameters.prefix = info.prefix;
  parameters.prefix_v4 = info.prefix_v4;
  // 1280 passes wherever IPv6 does: also outside, with its 40 bytes, on a path of 1320.
  parameters.mtu =
      std::min(info.mtu.value_or(1280), kLargestOuterMtu - encapsulation_overhead(info.mode, is_v4_inside));
  parameters.is_mtu_granted = info.mtu.has_value();
  parameters.dns_servers = info.dns_servers;
  parameters.client_name = info.client_name;
  parameters.lifetime = info.lifetime;
  parameters.keepalive_interval = info.keepalive_interval;
  parameters.keepalive_address = info.keepalive_address;
  return parameters;
}

std::vector<net::Prefix> allowed_of(const TunnelParameters& parameters) {
  if (parameters.wireguard && !parameters.wireguard->allowed.empty()) return parameters.wireguard->allowed;
  std::vector<net::Prefix> all{{net::AddressV6(), 0}};
  if (parameters.client_inner_v4) all.push_back(net::v4_mapped({boost::asio::ip::address_v4(), 0}));
  return all;
}

std::string loop_in(const TunnelParameters& p) {
  // Over UDP a broker may run on the client's own machine.
  const bool is_over_udp = p.mode == tsp::Mode::kV6UdpV4 || p.mode == tsp::Mode::kWireguard;
  if (!is_over_udp && p.server_outer == p.local_outer)
    return "the broker's address " + p.server_outer.to_string() + " is this machine's own";
  for (const auto& outer : {p.server_outer, p.local_outer}) {
    const bool is_inner_v4 = outer.is_v4() && p.client_inner_v4 &&
                             (outer.to_v4() == *p.client_inner_v4 || outer.to_v4() == *p.server_inner_v4);
    if (outer == p.client_inner || outer == p.server_inner || is_inner_v4)
      return "the address " + outer.to_string() + " is outside and inside the tunnel";
    const bool is_captured = outer.is_v6() ? p.prefix && p.prefix->contains(outer.to_v6())
                                           : p.prefix_v4 && p.prefix_v4->contains(outer.to_v4());
    if (is_captured) return "the delegated prefix holds the tunnel's outer address " + outer.to_string();
  }
  return {};
}

Environment template_environment(const TunnelParameters& p, const TemplateContext& context,
                                 Operation operation) {
  Environment environment;
  const auto set = [&environment](std::string_view name, std::string_view value) {
    environment.push_back(std::string(name) + "=" + std::string(value));
  };
  set("TSP_OPERATION", operation == Operation::kCreate ? "TSP_TUNNEL_CREATION" : "TSP_TUNNEL_TEARDOWN");
  set("TSP_VERBOSE", std::to_string(context.verbosity));
  set("TSP_HOME_DIR", context.home_dir);
  set("TSP_TUNNEL_MODE", tsp::to_string(p.mode));
  set("TSP_HOST_TYPE", to_string(p.host_type));
  set("TSP_TUNNEL_INTERFACE", p.interface);
  set("TSP_HOME_INTERFACE", p.home_interfaces.empty() ? std::string() : p.home_interfaces.front());
  // Of each end the broker's view outside and the tunnel's address inside, whichever family that is.
  const auto of_family = [](bool is_v4, const boost::asio::ip::address& a,
                            const boost::asio::ip::address& b) {
    return a.is_v4() == is_v4   ? text_unless_unspecified(a)
           : b.is_v4() == is_v4 ? text_unless_unspecified(b)
                                : std::string();
  };
  if (p.mode == tsp::Mode::kWireguard) {
    const auto text = [](const std::optional<boost::asio::ip::address_v4>& v4) {
      return v4 ? v4->to_string() : std::string();
    };
    set("TSP_CLIENT_ADDRESS_IPV4", text(p.client_inner_v4));
    set("TSP_SERVER_ADDRESS_IPV4", text(p.server_inner_v4));
    set("TSP_CLIENT_ADDRESS_IPV6", text_unless_unspecified(p.client_inner));
    set("TSP_SERVER_ADDRESS_IPV6", text_unless_unspecified(p.server_inner));
    set_wireguard(p, set);
  } else {
    set("TSP_CLIENT_ADDRESS_IPV4", of_family(true, p.client_inner, p.client_outer));
    set("TSP_SERVER_ADDRESS_IPV4", of_family(true, p.server_inner, p.server_outer));
    set("TSP_CLIENT_ADDRESS_IPV6", of_family(false, p.client_inner, p.client_outer));
    set("TSP_SERVER_ADDRESS_IPV6", of_family(false, p.server_inner, p.server_outer));
  }
  set("TSP_CLIENT_DNS_ADDRESS_IPV6",
      p.dns_servers.empty() ? std::string() : p.dns_servers.front().to_string());
  set("TSP_CLIENT_DNS_NAME", p.client_name);
  set("TSP_TUNNEL_PREFIXLEN", p.is_v4_inside() ? "32" : "128");
  if (p.is_v4_inside()) {
    set("TSP_PREFIX", p.prefix_v4 ? p.prefix_v4->address.to_string() : std::string());
    set("TSP_PREFIXLEN", p.prefix_v4 ? std::to_string(p.prefix_v4->length) : std::string());
  } else {
    set("TSP_PREFIX", p.prefix ? net::covered_groups(*p.prefix) : std::string());
    set("TSP_PREFIXLEN", p.prefix ? std::to_string(p.prefix->length) : std::string());
  }
  set("SIXLINK_RECORD", context.record_path);
  set("SIXLINK_STATE_DIR", context.state_dir);
  set("SIXLINK_INTERFACE_KIND", to_string(p.kind));
  set("SIXLINK_MTU", std::to_string(p.mtu));
  set("SIXLINK_DEFAULT_ROUTE", to_string(p.default_route));
  set("SIXLINK_OUTER_CLIENT", text_unless_unspecified(p.local_outer));
  set("SIXLINK_OUTER_SERVER", text_unless_unspecified(p.server_outer));
  set("SIXLINK_OUTER_CLIENT_PORT", p.local_port == 0 ? std::string() : std::to_string(p.local_port));
  set("SIXLINK_OUTER_SERVER_PORT", p.server_port == 0 ? std::string() : std::to_string(p.server_port));
  set("SIXLINK_HOME_INTERFACES", joined(p.home_interfaces));
  std::vector<std::string> dns_servers;
  for (const auto& address : p.dns_servers) dns_servers.push_back(address.to_string());
  set("SIXLINK_DNS_SERVERS", joined(dns_servers));
  // Our own datapath clamps where it moves the packets.
  set("SIXLINK_MSS_CLAMP", p.kind == InterfaceKind::kKernel ? "yes" : "no");
  if (p.host_type == HostType::kBroker) {
    set("SIXLINK_PREFIX_V4", p.prefix_v4 ? p.prefix_v4->to_string() : std::string());
    set("SIXLINK_SERVER_V4", p.server_inner_v4 ? p.server_inner_v4->to_string() : std::string());
  }
  return environment;
}

}  // namespace sixlink::tunnel
