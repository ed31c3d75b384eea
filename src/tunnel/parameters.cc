// SPDX-License-Identifier: BSD-3-Clause
// A tunnel is a record.
#include "src/tunnel/parameters.h"

#include <algorithm>

namespace sixlink::tunnel {
namespace {

// What fits a 1,500-byte outer packet behind IPv4 and UDP headers; a broker that offers more would only cause
// outer fragments.
constexpr int kLargestMtu = 1500 - 20 - 8;

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

std::string text_unless_unspecified(const boost::asio::ip::address& address) {
  return address.is_unspecified() ? std::string() : address.to_string();
}

}  // namespace

TunnelParameters from_info(const tsp::TunnelInfo& info) {
  TunnelParameters parameters;
  parameters.mode = info.mode;
  parameters.client_outer = info.client_v4;
  parameters.server_outer = info.server_v4;
  parameters.client_inner = info.client_v6;
  parameters.server_inner = info.server_v6;
  parameters.prefix = info.prefix;
  parameters.mtu = std::min(info.mtu.value_or(1280), kLargestMtu);
  parameters.dns_servers = info.dns_servers;
  parameters.client_name = info.client_name;
  parameters.lifetime = info.lifetime;
  parameters.keepalive_interval = info.keepalive_interval;
  parameters.keepalive_address = info.keepalive_address;
  return parameters;
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
  set("TSP_HOME_INTERFACE", p.home_interface);
  const auto v4_text = [](const boost::asio::ip::address& a) {
    return a.is_v4() ? text_unless_unspecified(a) : std::string();
  };
  set("TSP_CLIENT_ADDRESS_IPV4", v4_text(p.client_outer));
  set("TSP_SERVER_ADDRESS_IPV4", v4_text(p.server_outer));
  set("TSP_CLIENT_ADDRESS_IPV6", text_unless_unspecified(p.client_inner));
  set("TSP_SERVER_ADDRESS_IPV6", text_unless_unspecified(p.server_inner));
  set("TSP_CLIENT_DNS_ADDRESS_IPV6",
      p.dns_servers.empty() ? std::string() : p.dns_servers.front().to_string());
  set("TSP_CLIENT_DNS_NAME", p.client_name);
  set("TSP_TUNNEL_PREFIXLEN", "128");
  set("TSP_PREFIX", p.prefix ? net::covered_groups(*p.prefix) : std::string());
  set("TSP_PREFIXLEN", p.prefix ? std::to_string(p.prefix->length) : std::string());
  set("SIXLINK_RECORD", context.record_path);
  set("SIXLINK_INTERFACE_KIND", "tun");
  set("SIXLINK_MTU", std::to_string(p.mtu));
  set("SIXLINK_DEFAULT_ROUTE", to_string(p.default_route));
  set("SIXLINK_OUTER_SERVER", text_unless_unspecified(p.server_outer));
  return environment;
}

}  // namespace sixlink::tunnel
