// SPDX-License-Identifier: BSD-3-Clause
// What the configuration makes of one TSP session.
#include "src/client/profile.h"

#include <boost/asio/ip/address.hpp>
#include <cstdint>

#include "platform/platform.h"
#include "src/client/known_hosts.h"

namespace sixlink::client {
namespace {

tsp::ClientAuth auth_of(AuthMethod method) {
  switch (method) {
    case AuthMethod::kAnonymous:
      return tsp::ClientAuth::kAnonymous;
    case AuthMethod::kAny:
      return tsp::ClientAuth::kAny;
    case AuthMethod::kPlain:
      return tsp::ClientAuth::kPlain;
    case AuthMethod::kDigestMd5:
      return tsp::ClientAuth::kDigestMd5;
    case AuthMethod::kPassDss3Des1:
      return tsp::ClientAuth::kPassDss3Des1;
  }
  return tsp::ClientAuth::kAnonymous;
}

tsp::Mode mode_of(TunnelMode mode) {
  switch (mode) {
    case TunnelMode::kV6V4:
      return tsp::Mode::kV6V4;
    case TunnelMode::kV6UdpV4:
      return tsp::Mode::kV6UdpV4;
    case TunnelMode::kV6AnyV4:
    case TunnelMode::kAnyMode:
      return tsp::Mode::kV6AnyV4;
    case TunnelMode::kWireguard:
      return tsp::Mode::kWireguard;
    case TunnelMode::kV4V6:
    case TunnelMode::kDsLite:
      return tsp::Mode::kV4V6;
  }
  return tsp::Mode::kV6AnyV4;
}

}  // namespace

tsp::ClientProfile make_profile(const Config& config, const net::ServerAddress& server, spdlog::logger& log) {
  const auto cnonce = platform::random_number();
  tsp::ClientProfile profile;
  profile.auth = auth_of(config.auth_method);
  profile.user = config.user_id;
  profile.password = &config.password;
  profile.server_text = server.text;
  profile.check_host_key = [&config, &log, name = server.text](std::string_view key) {
    const KnownHosts known(config.state_dir + "/" + std::string(kKnownHostsFile));
    auto result =
        known.check(name, key, config.accepts_unknown_host_key ? UnknownKey::kAccept : UnknownKey::kRefuse);
    for (const auto& note : result.notes) log.warn("{}", note);
    return std::move(result.verdict);
  };
  profile.cnonce = std::to_string(cnonce);
  profile.request.mode = mode_of(config.tunnel_mode);
  if (config.may_use_wireguard()) {
    // Anew each time, so that a key that was put right is used at the next attempt.
    const auto key = pki::load_or_make_wireguard_key(config.private_key_file);
    if (key.pair) {
      profile.request.wireguard_key = key.pair->public_key();
    } else {
      log.error("{}", key.problem);
    }
  }
  profile.prefers_wireguard = config.tunnel_mode == TunnelMode::kAnyMode;
  if (config.keepalive) profile.request.keepalive_interval = config.keepalive_interval;
  if (config.proxy_client) {
    profile.request.is_proxy = true;
    boost::system::error_code checked_already;
    profile.request.client_address = boost::asio::ip::make_address(
        config.tunnel_mode == TunnelMode::kV4V6 ? config.client_v6 : config.client_v4, checked_already);
  }
  if (config.host_type == HostType::kRouter) {
    profile.request.is_router = true;
    // Lengths above 32 in mode v4v6 are IPv6's default.
    const bool is_asked =
        config.prefix_length > 0 && (config.tunnel_mode != TunnelMode::kV4V6 || config.prefix_length <= 32);
    if (is_asked) profile.request.prefix_length = config.prefix_length;
    profile.request.dns_servers = config.dns_servers;
    profile.request.routing_protocol = config.routing_info;
  }
  return profile;
}

}  // namespace sixlink::client
