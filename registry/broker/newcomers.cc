// SPDX-License-Identifier: BSD-3-Clause
// Who is served here.
#include "registry/broker/newcomers.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>

#include "src/net/outer_address.h"
#include "src/tsp/status.h"

namespace sixlink::registry {
namespace {

namespace asio = boost::asio;

// Looking through all leases is not for every second.
constexpr std::chrono::seconds kMeasurementInterval{5};

// Binding works for a machine's own addresses only.
bool is_own_address(const asio::ip::address& address) {
  asio::io_context io;
  asio::ip::udp::socket socket(io);
  boost::system::error_code error;
  socket.open(asio::ip::udp::endpoint(address, 0).protocol(), error);
  if (!error) socket.bind({address, 0}, error);
  return !error;
}

bool is_this_registry(const Config& config, const net::ServerAddress& broker) {
  boost::system::error_code not_a_literal;
  const auto address = asio::ip::make_address(broker.host, not_a_literal);
  const bool is_served = std::any_of(config.listen.begin(), config.listen.end(), [&](const auto& listen) {
    return listen.port == broker.port && listen.address.is_unspecified() &&
           listen.address.is_v6() == address.is_v6();
  });
  return !not_a_literal && is_served && is_own_address(address);
}

std::string join(const tsp::BrokerList& brokers) {
  std::string text;
  for (const auto& broker : brokers) text += (text.empty() ? "" : " ") + broker.text;
  return text;
}

}  // namespace

Newcomers::Newcomers(const Config& config, spdlog::logger& log, tsp::ServerPolicy& policy,
                     const LeaseBook& book, const TunnelServer& tunnels)
    : config_(config),
      log_(log),
      policy_(policy),
      book_(book),
      tunnels_(tunnels),
      brokers_(config.redirect.brokers),
      redirector_(Redirector::Settings{}) {}

void Newcomers::begin() {
  std::erase_if(brokers_, [this](const net::ServerAddress& broker) {
    if (!is_this_registry(config_, broker)) return false;
    log_.warn("redirect={} is this machine: left out, or clients would come back at once", broker.text);
    return true;
  });
  const auto& wanted = config_.redirect;
  redirector_ = Redirector({!brokers_.empty(), wanted.when, wanted.above_tunnels, wanted.above_load});
  policy_.redirection = brokers_.empty() ? "" : tsp::redirect_xml(brokers_);
  apply();
  if (redirector_.redirects_all())
    log_.info("a front door: all clients are redirected to {}", join(brokers_));
}

void Newcomers::apply() {
  policy_.redirects_all = redirector_.redirects_all();
  policy_.answers_echo = redirector_.answers_echo();
}

bool Newcomers::holds_tunnel(const Requester& requester, WallSeconds now) const {
  const auto is_in_use = [&](const Lease* lease, const Tunnel* tunnel) {
    return lease && now - std::max(lease->last_seen, tunnel ? tunnel->last_seen.load() : 0) < kInUse;
  };
  if (!requester.user.empty()) {
    for (const auto mode : {LeaseMode::kV6UdpV4, LeaseMode::kV4V6}) {
      const auto* lease = book_.find_user(requester.user, mode);
      if (lease && is_in_use(lease, tunnels_.find(lease->address))) return true;
    }
    return false;
  }
  const auto peer = net::unmapped(requester.peer);
  const Outer without_udp{peer.is_v4() ? LeaseMode::kV6V4 : LeaseMode::kV4V6, peer, 0};
  for (const auto& outer : {Outer{LeaseMode::kV6UdpV4, peer, requester.port}, without_udp}) {
    const auto* tunnel = tunnels_.find_outer(outer);
    if (tunnel && is_in_use(book_.find(tunnel->lease), tunnel)) return true;
  }
  return false;
}

std::optional<int> Newcomers::refusal(const Requester& requester, WallSeconds now) const {
  switch (redirector_.decide(holds_tunnel(requester, now))) {
    case Redirector::Decision::kServe:
      return std::nullopt;
    case Redirector::Decision::kRedirect:
      return tsp::kRedirection;
    case Redirector::Decision::kBusy:
      return tsp::kServerBusy;
  }
  return std::nullopt;
}

std::size_t Newcomers::tunnels_in_use(WallSeconds now) const {
  std::size_t count = 0;
  for (const auto& [id, lease] : book_.leases()) {
    const auto* tunnel = tunnels_.find(lease.address);
    count += now - std::max(lease.last_seen, tunnel ? tunnel->last_seen.load() : 0) < kInUse ? 1 : 0;
  }
  return count;
}

bool Newcomers::tick(TimePoint now, WallSeconds wall) {
  load_.add(now, process_cpu_time());
  if (now < next_measurement_) return false;
  next_measurement_ = now + kMeasurementInterval;
  const bool is_counted = stops_when_drained_ || config_.redirect.above_tunnels > 0;
  const auto in_use = is_counted ? tunnels_in_use(wall) : 0;
  report(redirector_.measured(in_use, load_.percent()));
  if (!stops_when_drained_) return false;
  if (in_use == 0) {
    log_.info("drained: no tunnel is in use any more");
    return true;
  }
  if (now < stop_at_) return false;
  log_.info("drained: the time is over; {} tunnels are still in use", in_use);
  return true;
}

void Newcomers::report(bool has_changed) {
  if (!has_changed) return;
  if (redirector_.is_loaded()) {
    log_.info("loaded: newcomers are redirected to {}", join(brokers_));
  } else {
    log_.info("no longer loaded: newcomers are served");
  }
}

void Newcomers::drain(const DrainRequest& request, TimePoint now) {
  stops_when_drained_ = request.begins && request.stops;
  stop_at_ = request.deadline ? now + *request.deadline : TimePoint::max();
  // The first look is not to find the count of another time.
  next_measurement_ = now;
  if (request.begins) {
    redirector_.drain();
    log_.info("draining: newcomers are {}{}",
              brokers_.empty() ? "told that the server is busy" : "redirected to " + join(brokers_),
              stops_when_drained_ ? "; stopping when no tunnel is in use" : "");
  } else {
    if (redirector_.is_draining()) log_.info("no longer draining");
    redirector_.undrain();
  }
  apply();
}

void Newcomers::fill_in(RegistryStatus& status, TimePoint now, WallSeconds wall) const {
  status.leases = book_.size();
  status.tunnels_in_use = tunnels_in_use(wall);
  status.load_percent = load_.percent();
  status.is_draining = redirector_.is_draining();
  status.redirect = status.is_draining            ? "drain"
                    : redirector_.redirects_all() ? "always"
                    : redirector_.is_loaded()     ? "load"
                                                  : "no";
  status.redirect_brokers = join(brokers_);
  status.stops_when_drained = stops_when_drained_;
  if (stops_when_drained_ && stop_at_ != TimePoint::max()) {
    status.stops_in =
        std::max(std::chrono::seconds(0), std::chrono::duration_cast<std::chrono::seconds>(stop_at_ - now));
  }
}

}  // namespace sixlink::registry
