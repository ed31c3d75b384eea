// SPDX-License-Identifier: BSD-3-Clause
// Cross-checks of sixlink.conf.
#include "src/client/config_checks.h"

#include <string>
#include <string_view>
#include <utility>

namespace sixlink::client {
void cross_check(const Config& config, config::KeyReport& report) {
  const auto problem = [&](std::string_view key, std::string message) {
    if (!report.is_refused(key)) report.problem(key, std::move(message));
  };
  cross_check_mesh(config, report);
  if (config.mesh.is_node()) return;
  if (config.servers.empty() && !report.is_refused("registry")) {
    problem("server", "no broker is named; add a line such as server=broker.example.net");
  }
  if (config.auth_method != AuthMethod::kAnonymous && config.tunnel_mode != TunnelMode::kDsLite) {
    if (config.user_id.empty()) {
      problem("userid", "auth_method asks for a user: set userid, or auth_method=anonymous");
    }
    if (config.password.empty()) {
      problem("passwd", "auth_method asks for a password: set passwd, or auth_method=anonymous");
    }
  }
  const bool is_v4_inside =
      config.tunnel_mode == TunnelMode::kV4V6 || config.tunnel_mode == TunnelMode::kDsLite;
  if (is_v4_inside && report.is_given("prefixlen") && config.prefix_length > 32) {
    problem("prefixlen", "must be 0 to 32 with tunnel_mode=v4v6: the prefix is an IPv4 one");
  }
  if (config.tunnel_mode == TunnelMode::kDsLite && config.host_type == HostType::kRouter) {
    problem("host_type", "router needs a prefix from a broker, and dslite asks none: take v4v6");
  }
  if (config.dslite_client == config.dslite_server) {
    problem("dslite_server", "must be another address than dslite_client");
  }
  if (config.host_type == HostType::kRouter && config.home_interfaces.empty()) {
    problem("if_prefix",
            "host_type=router needs the interface of the network behind this machine: set if_prefix");
  }
  for (const auto& name : config.home_interfaces) {
    if (config.proxy_client || is_interface_name(name)) continue;
    problem("if_prefix", "\"" + name +
                             "\" is not allowed; allowed: interfaces of this machine; names as "
                             "GigabitEthernet0/1 are for proxy_client=yes");
  }
  if (config.retry_delay > config.retry_delay_max) {
    problem("retry_delay_max", "is " + std::to_string(config.retry_delay_max.count()) +
                                   ", less than retry_delay=" + std::to_string(config.retry_delay.count()) +
                                   "; raise one or lower the other");
  }
  if (config.keepalive && config.keepalive_interval.count() == 0) {
    problem("keepalive_interval", "must be 1 or more with keepalive=yes; keepalive=no turns it off");
  }
  if (config.proxy_client) {
    if (config.may_use_wireguard()) {
      problem("tunnel_mode",
              "a WireGuard tunnel ends at the machine that has the key, so proxy_client=yes cannot use it; "
              "take v6v4");
    }
    if (config.tunnel_mode == TunnelMode::kV6UdpV4) {
      problem("tunnel_mode", "v6udpv4 ends at this machine, so proxy_client=yes cannot use it; take v6v4");
    }
    if (config.tunnel_mode == TunnelMode::kDsLite) {
      problem("tunnel_mode", "dslite asks no broker, so proxy_client=yes has nobody to tell; take v4v6");
    }
    const bool is_over_v6 = config.tunnel_mode == TunnelMode::kV4V6;
    if ((is_over_v6 ? config.client_v6 : config.client_v4) == "auto") {
      problem(is_over_v6 ? "client_v6" : "client_v4",
              "proxy_client=yes sets up another machine's tunnel: this must be that machine's address");
    }
    if (config.keepalive) {
      problem("keepalive", "proxy_client=yes sets up another machine's tunnel: set keepalive=no");
    }
  }
}

}  // namespace sixlink::client
