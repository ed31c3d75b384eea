// SPDX-License-Identifier: BSD-3-Clause
// Cross-checks of sixlink.conf, and what is accepted without being supported yet.
#include "src/client/config_checks.h"

#include <string>
#include <string_view>
#include <utility>

namespace sixlink::client {
namespace {

std::string_view mode_name(TunnelMode mode) {
  switch (mode) {
    case TunnelMode::kV6V4:
      return "v6v4";
    case TunnelMode::kV6UdpV4:
      return "v6udpv4";
    case TunnelMode::kV6AnyV4:
      return "v6anyv4";
    case TunnelMode::kV4V6:
      return "v4v6";
    case TunnelMode::kDsLite:
      return "dslite";
  }
  return "";
}

bool is_file_named(std::string_view path, std::string_view name) {
  return path.substr(path.rfind('/') + 1) == name;  // without a slash: npos + 1 is 0
}

}  // namespace

void cross_check(const Config& config, config::KeyReport& report) {
  const auto problem = [&](std::string_view key, std::string message) {
    if (!report.is_refused(key)) report.problem(key, std::move(message));
  };
  if (config.servers.empty()) {
    problem("server", "no broker is named; add a line such as server=broker.example.net");
  }
  if (config.auth_method != AuthMethod::kAnonymous) {
    if (config.user_id.empty()) {
      problem("userid", "auth_method asks for a user: set userid, or auth_method=anonymous");
    }
    if (config.password.empty()) {
      problem("passwd", "auth_method asks for a password: set passwd, or auth_method=anonymous");
    }
  }
  if (config.host_type == HostType::kRouter && config.home_interface.empty()) {
    problem("if_prefix",
            "host_type=router needs the interface of the network behind this machine: set if_prefix");
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
    if (config.tunnel_mode == TunnelMode::kV6UdpV4) {
      problem("tunnel_mode", "v6udpv4 ends at this machine, so proxy_client=yes cannot use it; take v6v4");
    }
    if (config.keepalive) {
      problem("keepalive", "proxy_client=yes sets up another machine's tunnel: set keepalive=no");
    }
  }
}

void warn_of_unsupported(const Config& config, config::KeyReport& report) {
  const auto warning = [&](std::string_view key, std::string message) {
    report.warning(key, std::move(message));
  };
  const Config standard;
  if (config.auth_method == AuthMethod::kPassDss3Des1) {
    warning("auth_method",
            "passdss-3des-1 is not yet supported: the authentication will fail; \"any\" takes the strongest "
            "method "
            "that the broker offers of DIGEST-MD5 and PLAIN");
  }
  if (config.tunnel_mode != TunnelMode::kV6AnyV4 && config.tunnel_mode != TunnelMode::kV6UdpV4) {
    warning("tunnel_mode", std::string(mode_name(config.tunnel_mode)) +
                               " is not yet supported: the negotiation will fail; v6anyv4 and v6udpv4 work");
  }
  if (config.proxy_client) {
    warning("proxy_client", "not yet supported: the negotiation will fail");
  }
  if (config.host_type == HostType::kRouter) {
    warning(
        "host_type",
        "router is not yet supported, ignored: the tunnel serves this machine alone, no prefix is asked for");
  }
  if (config.prefix_length != standard.prefix_length) {
    warning("prefixlen", "not yet supported, ignored: no prefix is asked for");
  }
  if (!config.home_interface.empty()) {
    warning("if_prefix", "not yet supported, ignored: no prefix is announced on an interface");
  }
  if (!config.dns_servers.empty()) {
    warning("dns_server", "not yet supported, ignored: the broker is not asked to delegate reverse DNS");
  }
  if (config.interface_v6v4 != standard.interface_v6v4) {
    warning("if_tunnel_v6v4",
            "not yet supported, ignored: only v6udpv4 tunnels are set up, on if_tunnel_v6udpv4");
  }
  if (config.interface_v4v6 != standard.interface_v4v6) {
    warning("if_tunnel_v4v6",
            "not yet supported, ignored: only v6udpv4 tunnels are set up, on if_tunnel_v6udpv4");
  }
  if (config.client_v6 != standard.client_v6) {
    warning("client_v6",
            "not yet supported, ignored: the system chooses the source address towards an IPv6 broker");
  }
  if (!is_file_named(config.broker_list, standard.broker_list)) {
    warning("broker_list", "not yet supported, ignored: brokers learnt from a redirection are not saved");
  }
  if (!is_file_named(config.last_server, standard.last_server)) {
    warning("last_server", "not yet supported, ignored: the last broker is not saved");
  }
  if (config.always_use_same_server) {
    warning("always_use_same_server", "not yet supported, ignored: brokers are tried in the order of server");
  }
}

}  // namespace sixlink::client
