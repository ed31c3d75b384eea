// SPDX-License-Identifier: BSD-3-Clause
// Finds a broker that grants a tunnel.
#include "src/client/broker_search.h"

#include <deque>
#include <set>

#include "src/client/candidates.h"
#include "src/client/profile.h"
#include "src/net/outer_address.h"
#include "src/net/resolve.h"
#include "src/tsp/status.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using std::chrono::duration_cast;
using std::chrono::microseconds;

constexpr std::chrono::seconds kResolveLimit{15};
// Brokers that one search follows redirections to: a ring of them must end.
constexpr std::size_t kMostRedirected = 2 * tsp::kMostBrokers;

}  // namespace

std::string_view name_of(tsp::Transport transport) {
  return transport == tsp::Transport::kRudp ? "UDP" : "TCP";
}

asio::awaitable<tunnel::Negotiation> BrokerSearch::negotiate_versions(const tunnel::NegotiationTarget& target,
                                                                      const net::ServerAddress& server) {
  tunnel::Negotiation result;
  for (const auto version : tsp::kVersions) {
    // 1.0.1 has no accept, which v6udpv4 needs to begin.
    if (version == "1.0.1" && config_.tunnel_mode == TunnelMode::kV6UdpV4) break;
    auto profile = make_profile(config_, server);
    profile.version = version;
    tunnel::NegotiationEvents events;
    events.on_message = [this](char direction, std::string_view text) {
      log_.trace("TSP {} {}", direction, tsp::printable(text, 2000));
    };
    events.on_plain_despite_stronger = [this] {
      log_.warn(
          "auth_method=plain sends the password in the clear, although the broker offers a stronger method: "
          "auth_method=any uses it");
    };
    result = co_await tunnel::negotiate(std::move(profile), target, std::move(events));
    if (!result.failure || result.failure->kind != tsp::FailureKind::kVersion) break;
    log_.info("the broker does not speak TSP {}", version);
  }
  co_return result;
}

asio::awaitable<std::variant<Grant, Failed>> BrokerSearch::run() {
  std::deque<net::ServerAddress> servers(config_.servers.begin(), config_.servers.end());
  std::set<std::string> visited;
  std::size_t redirected = 0;
  Failed reported{kExitCannotConnect, "no broker is configured"};
  int reported_significance = -2;
  const auto note = [&](int significance, int code, std::string message) {
    log_.info("{}", message);
    if (significance <= reported_significance) return;
    reported_significance = significance;
    reported = {code, std::move(message)};
  };
  while (!servers.empty()) {
    const auto server = servers.front();
    servers.pop_front();
    if (!visited.insert(server.host + " " + std::to_string(server.port)).second) continue;
    hooks_.on_resolving();
    const auto resolve_started = Clock::now();
    const auto addresses = co_await net::resolve(server.host, kResolveLimit);
    hooks_.on_resolved(duration_cast<microseconds>(Clock::now() - resolve_started));
    if (!addresses || addresses->empty()) {
      note(-1, kExitCannotResolve,
           "cannot resolve the broker's name " + server.host + ": " +
               (addresses ? std::string("it has no address") : addresses.error().message()));
      continue;
    }
    for (const auto& target : candidates(config_, *addresses, server.port)) {
      hooks_.on_negotiating();
      const auto where = server.text + " (" + net::endpoint_text(target.address, target.port) + ", " +
                         std::string(name_of(target.transport)) + ")";
      log_.debug("negotiating with {}", where);
      const auto negotiation_started = Clock::now();
      auto negotiation = co_await negotiate_versions(target, server);
      if (negotiation.tunnel) {
        hooks_.on_granted(duration_cast<microseconds>(Clock::now() - negotiation_started),
                          negotiation.round_trips);
        co_return Grant{server, target, std::move(negotiation)};
      }
      const auto& failure = *negotiation.failure;
      note(significance(failure.kind), exit_code(failure.kind), "broker " + where + ": " + failure.message);
      for (auto broker = failure.brokers.rbegin();
           broker != failure.brokers.rend() && redirected < kMostRedirected; ++broker, ++redirected)
        servers.push_front(*broker);
      if (!is_worth_another_address(failure.kind)) break;
    }
  }
  co_return reported;
}

}  // namespace sixlink::client
