// SPDX-License-Identifier: BSD-3-Clause
// Finds a broker that grants a tunnel.
#include "src/client/broker_search.h"

#include <algorithm>
#include <optional>

#include "src/client/candidates.h"
#include "src/client/profile.h"
#include "src/config/key_value.h"
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
// Ours: what one search follows at most, in a row and in all. Every broker is tried once, so a circle ends
// without them; a broker that invents names would not.
constexpr std::size_t kMostHops = 8;
constexpr std::size_t kMostRedirected = 2 * tsp::kMostBrokers;
// Ours: how long a broker that answered over UDP before is asked again, and in how many searches it may be
// silent until it counts as one that never answered. A silent session takes 6 s: with half of the packets
// lost in each direction 0.42 of them are, and of four in a row 0.03.
constexpr std::chrono::seconds kPatience{20};
constexpr int kLeastSessions = 2;
constexpr int kMostSilences = 5;

// Names compare without regard to case (RFC 4343).
std::string name_key(const net::ServerAddress& server) {
  return config::lower_case(server.host) + " " + std::to_string(server.port);
}

std::string join(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : std::string(between)) + word;
  return text;
}

}  // namespace

bool may_be_redirected(const asio::ip::address& from, const asio::ip::address& to) {
  const auto address = net::unmapped(to);
  if (address.is_unspecified() || address.is_multicast()) return false;
  if (address.is_loopback()) return net::unmapped(from).is_loopback();
  if (address.is_v6()) return !address.to_v6().is_link_local();
  const auto v4 = address.to_v4().to_uint();
  // 0.0.0.0/8, 169.254.0.0/16, 240.0.0.0/4 (RFC 6890).
  return v4 >> 24 != 0 && v4 >> 16 != 0xa9fe && v4 >> 28 != 15;
}

std::string_view name_of(tsp::Transport transport) {
  return transport == tsp::Transport::kRudp ? "UDP" : "TCP";
}

asio::awaitable<tunnel::Negotiation> BrokerSearch::negotiate_versions(const tunnel::NegotiationTarget& target,
                                                                      const net::ServerAddress& server) {
  tunnel::Negotiation result;
  for (const auto version : tsp::kVersions) {
    // 1.0.1 has no accept, which v6udpv4 needs to begin.
    if (version == "1.0.1" && config_.tunnel_mode == TunnelMode::kV6UdpV4) break;
    auto profile = make_profile(config_, server, log_);
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

asio::awaitable<tunnel::Negotiation> BrokerSearch::negotiate_patiently(
    const tunnel::NegotiationTarget& target, const net::ServerAddress& server) {
  if (target.transport != tsp::Transport::kRudp) co_return co_await negotiate_versions(target, server);
  const auto endpoint = net::endpoint_text(target.address, target.port);
  const auto patience = Clock::now() + kPatience;
  for (int sessions = 1;; ++sessions) {
    auto negotiation = co_await negotiate_versions(target, server);
    if (negotiation.round_trips > 0) silences_[endpoint] = 0;
    const bool is_silent = negotiation.failure && negotiation.failure->kind == tsp::FailureKind::kNoAnswer;
    const auto known = silences_.find(endpoint);
    if (!is_silent || known == silences_.end()) co_return negotiation;
    if (sessions >= kLeastSessions && Clock::now() >= patience) {
      progress_.has_met_silence = true;
      if (++known->second >= kMostSilences) silences_.erase(known);
      co_return negotiation;
    }
    log_.info("broker {} ({}, UDP) does not answer, but did before: asking again", server.text, endpoint);
  }
}

void BrokerSearch::note(int significance, int code, std::string message) {
  log_.info("{}", message);
  if (significance <= progress_.significance) return;
  progress_.significance = significance;
  progress_.reported = {code, std::move(message)};
}

void BrokerSearch::note_circle(const std::vector<std::string>& path, const net::ServerAddress& server) {
  note(significance(tsp::FailureKind::kRedirect) + 1, kExitRedirection,
       "brokers redirect in a circle: " + join(path, " -> ") + " -> " + server.text +
           ", which was tried already");
}

asio::awaitable<std::variant<Grant, Failed>> BrokerSearch::run() {
  progress_ = {};
  if (config_.always_use_same_server) {
    if (auto last = files_.read_last_server())
      progress_.pending.push_back({*std::move(last), {}, "last_server", {}});
  }
  auto grant = co_await try_pending();
  if (!grant) {
    co_await collect();
    grant = co_await try_pending();
  }
  // Brokers that answer and refuse would do so again by another way; brokers that are out of reach are why
  // the list is kept.
  if (!grant && progress_.significance <= significance(tsp::FailureKind::kBusy)) {
    for (auto& server : files_.read_broker_list()) {
      if (!progress_.names.contains(name_key(server)))
        progress_.pending.push_back({std::move(server), {}, "broker_list", {}});
    }
    if (!progress_.pending.empty())
      log_.info("no configured broker can be reached or has time; trying the {} of broker_list={}",
                progress_.pending.size(), config_.broker_list);
    grant = co_await try_pending();
  }
  if (!grant) {
    progress_.reported.is_passing = progress_.has_met_silence;
    co_return std::move(progress_.reported);
  }
  files_.write_last_server(grant->server);
  co_return *std::move(grant);
}

// The configured brokers.
asio::awaitable<void> BrokerSearch::collect() {
  if (config_.servers.size() < 2 || config_.server_order == ServerOrder::kListed) {
    for (const auto& server : config_.servers) progress_.pending.push_back({server, {}, "server", {}});
    co_return;
  }
  auto brokers = co_await measured(config_.servers, kConfiguredLimits);
  log_.info("brokers by distance: {}", describe(brokers));
  for (auto& broker : brokers)
    progress_.pending.push_back({std::move(broker.server), std::move(broker.addresses), "server", {}});
}

asio::awaitable<std::vector<MeasuredBroker>> BrokerSearch::measured(std::vector<net::ServerAddress> servers,
                                                                    MeasureLimits limits) {
  hooks_.on_resolving();
  const auto started = Clock::now();
  auto brokers = co_await measure_brokers(config_, std::move(servers), limits);
  hooks_.on_resolved(duration_cast<microseconds>(Clock::now() - started));
  co_return brokers;
}

asio::awaitable<std::optional<Grant>> BrokerSearch::try_pending() {
  while (!progress_.pending.empty()) {
    auto next = std::move(progress_.pending.front());
    progress_.pending.pop_front();
    // Also when it is named twice in the configuration.
    if (!progress_.names.insert(name_key(next.server)).second) continue;
    auto grant = co_await try_broker(std::move(next));
    if (grant) co_return grant;
  }
  co_return std::nullopt;
}

asio::awaitable<std::optional<Grant>> BrokerSearch::try_broker(Pending broker) {
  const auto& server = broker.server;
  if (broker.addresses.empty()) {
    hooks_.on_resolving();
    const auto started = Clock::now();
    auto addresses = co_await net::resolve(server.host, kResolveLimit);
    hooks_.on_resolved(duration_cast<microseconds>(Clock::now() - started));
    if (!addresses || addresses->empty()) {
      note(-1, kExitCannotResolve,
           "cannot resolve the broker's name " + server.host + ": " +
               (addresses ? std::string("it has no address") : addresses.error().message()));
      co_return std::nullopt;
    }
    broker.addresses = *std::move(addresses);
  }
  if (!broker.path.empty()) {
    std::erase_if(broker.addresses,
                  [&](const auto& to) { return !may_be_redirected(broker.redirector, to); });
    if (broker.addresses.empty()) {
      note(significance(tsp::FailureKind::kRedirect) + 1, kExitRedirection,
           "broker " + broker.path.back() + " redirects to " + server.text +
               ", which is no address that another machine can have: not followed");
      co_return std::nullopt;
    }
  }
  const auto targets = candidates(config_, broker.addresses, server.port);
  if (targets.empty()) {
    note(-1, kExitCannotConnect,
         "broker " + server.text + " has no address of the family that tunnel_mode needs");
  }
  // Another name for a broker that was tried is another way round the same circle.
  const auto tried_before = progress_.endpoints;
  const auto is_known = [&](const tunnel::NegotiationTarget& target) {
    return tried_before.contains(net::endpoint_text(target.address, target.port));
  };
  if (!broker.path.empty() && !targets.empty() && std::all_of(targets.begin(), targets.end(), is_known))
    note_circle(broker.path, server);
  for (const auto& target : targets) {
    const auto endpoint = net::endpoint_text(target.address, target.port);
    const auto where = server.text + " (" + endpoint + ", " + std::string(name_of(target.transport)) + ")";
    if (is_known(target)) {
      log_.debug("{} was tried already under another name", where);
      continue;
    }
    progress_.endpoints.insert(endpoint);
    hooks_.on_negotiating();
    log_.debug("negotiating with {}", where);
    const auto started = Clock::now();
    auto negotiation = co_await negotiate_patiently(target, server);
    if (negotiation.tunnel) {
      hooks_.on_granted(duration_cast<microseconds>(Clock::now() - started), negotiation.round_trips);
      if (broker.found != "server") log_.info("broker {} grants a tunnel ({})", where, broker.found);
      co_return Grant{server, target, std::move(negotiation), broker.found};
    }
    const auto& failure = *negotiation.failure;
    // That TCP cannot carry the mode is no news to those whose broker is out of reach over UDP for now.
    if (progress_.has_met_silence && failure.kind == tsp::FailureKind::kModeNotOffered &&
        target.transport == tsp::Transport::kTcp) {
      log_.info("broker {}: {}", where, failure.message);
      continue;
    }
    note(significance(failure.kind), exit_code(failure.kind), "broker " + where + ": " + failure.message);
    if (!failure.brokers.empty()) co_await follow(broker, target.address, failure.brokers);
    if (!is_worth_another_address(failure.kind)) break;
  }
  co_return std::nullopt;
}

asio::awaitable<void> BrokerSearch::follow(const Pending& from, const asio::ip::address& redirector,
                                           const std::vector<net::ServerAddress>& to) {
  auto path = from.path;
  path.push_back(from.server.text);
  if (path.size() > kMostHops) {
    note(significance(tsp::FailureKind::kRedirect) + 1, kExitRedirection,
         "broker " + from.server.text + " redirects once more after " + std::to_string(kMostHops) +
             " redirections (" + join(path, " -> ") + "): that many are not followed");
    co_return;
  }
  std::vector<net::ServerAddress> fresh;
  std::set<std::string> named;
  for (const auto& server : to) {
    if (progress_.names.contains(name_key(server))) {
      note_circle(path, server);
    } else if (named.insert(name_key(server)).second) {
      fresh.push_back(server);
    }
  }
  if (progress_.redirected + fresh.size() > kMostRedirected) {
    fresh.resize(kMostRedirected - std::min(progress_.redirected, kMostRedirected));
    log_.warn("redirections named more than {} brokers; the rest is left out", kMostRedirected);
  }
  progress_.redirected += fresh.size();
  if (fresh.empty()) co_return;
  std::vector<MeasuredBroker> brokers;
  if (fresh.size() == 1) {
    brokers.push_back({fresh.front(), {}, {}});
    log_.info("broker {} redirects to {}", from.server.text, fresh.front().text);
  } else {
    log_.info("broker {} redirects to {} brokers, which are measured now", from.server.text, fresh.size());
    brokers = co_await measured(std::move(fresh), kRedirectionLimits);
    log_.info("brokers by distance: {}", describe(brokers));
  }
  std::vector<net::ServerAddress> sorted;
  sorted.reserve(brokers.size());
  for (const auto& broker : brokers) sorted.push_back(broker.server);
  files_.write_broker_list(sorted);
  for (auto broker = brokers.rbegin(); broker != brokers.rend(); ++broker) {
    progress_.pending.push_front({std::move(broker->server), std::move(broker->addresses),
                                  "redirected by " + from.server.text, path, redirector});
  }
}

}  // namespace sixlink::client
