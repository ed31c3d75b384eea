// SPDX-License-Identifier: BSD-3-Clause
// Holds one tunnel up.
#include "src/client/supervisor.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "src/client/profile.h"
#include "src/client/wireguard_servers.h"
#include "src/net/resolve.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;
using Clock = std::chrono::steady_clock;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

constexpr seconds kResolveLimit{15};
// Of the network: changes come one after the other, and the first is not the one that counts.
constexpr milliseconds kSettle{1000};
constexpr milliseconds kBurst{200};

tunnel::DefaultRoute default_route_of(DefaultRoute route) {
  switch (route) {
    case DefaultRoute::kBackup:
      return tunnel::DefaultRoute::kBackup;
    case DefaultRoute::kYes:
      return tunnel::DefaultRoute::kYes;
    case DefaultRoute::kNo:
      return tunnel::DefaultRoute::kNo;
  }
  return tunnel::DefaultRoute::kBackup;
}

double in_milliseconds(microseconds time) {
  return static_cast<double>(time.count()) / 1000.0;
}

}  // namespace

Supervisor::Supervisor(asio::io_context& io, const Config& config, spdlog::logger& log, Settings settings)
    : io_(io),
      config_(config),
      log_(log),
      settings_(std::move(settings)),
      stop_signal_(io, Clock::time_point::max()),
      pause_(io, Clock::time_point::min()),
      search_(config, log, search_hooks()),
      template_({config.template_name, config.home_dir, settings_.data_dir, config.run_dir,
                 config.instance_name(), settings_.verbosity},
                log),
      holder_(io, config, log, template_,
              [this] {
                if (!status_.timings.first_reply)
                  status_.timings.first_reply = duration_cast<microseconds>(Clock::now() - attempt_started_);
              }),
      retry_(config.retry_delay, config.retry_delay_max, platform::random_number<std::uint64_t>()) {}

SearchHooks Supervisor::search_hooks() {
  SearchHooks hooks;
  hooks.on_resolving = [this] { enter(State::kResolving); };
  hooks.on_resolved = [this](microseconds took) { status_.timings.resolve += took; };
  hooks.on_negotiating = [this] { enter(State::kNegotiating); };
  hooks.on_granted = [this](microseconds took, unsigned round_trips) {
    status_.timings.negotiation = took;
    status_.timings.round_trips = round_trips;
  };
  return hooks;
}

void Supervisor::enter(State state) {
  if (status_.state == state) return;
  status_.state = state;
  status_.since = std::chrono::system_clock::now();
}

void Supervisor::stop() {
  is_stopping_ = true;
  // In the past: whoever waits for it, now or later, continues at once.
  stop_signal_.expires_at(Clock::time_point::min());
}

void Supervisor::release() {
  is_releasing_ = true;
  stop();
}

asio::awaitable<int> Supervisor::run() {
  const auto outcome = co_await (run_until_stopped() || watch_network());
  co_return std::get<0>(outcome);
}

asio::awaitable<int> Supervisor::run_until_stopped() {
  holder_.remove_secrets();
  co_await template_.remove_leftovers();
  int code = kExitCannotConnect;
  std::optional<asio::ip::udp::socket> last_socket;
  while (!is_stopping_) {
    attempt_started_ = Clock::now();
    network_ = platform::network_state({});
    status_.timings = {};
    status_.retry_in.reset();
    const auto outcome = co_await (attempt() || stop_signal_.async_wait(kAwait));
    const bool was_up = status_.state == State::kUp;
    const auto lived = Clock::now() - up_since_;
    bool is_immediate = false;
    bool is_passing = false;
    if (outcome.index() == 0) {
      const auto& failed = std::get<0>(outcome);
      if (!failed) {
        log_.info("the tunnel needs nobody to hold it: ending");
        co_return kExitOk;
      }
      status_.last_error = failed->message;
      code = failed->code;
      is_immediate = failed->is_immediate;
      is_passing = failed->is_passing;
      log_.error("{}{}", was_up ? "the tunnel failed: " : "no tunnel: ", failed->message);
    } else if (was_up) {
      code = kExitOk;
    }
    // The broker knows an anonymous client by the socket that the tunnel had.
    if (is_releasing_) last_socket = holder_.take_socket();
    co_await tear_down();
    if (is_stopping_ || settings_.give_up_at_first_failure) break;
    // A tunnel that worked for a while is worth an immediate try; one that fails again and again is not.
    if (was_up && (is_immediate || lived >= config_.retry_delay)) {
      retry_.reset();
      continue;
    }
    const auto delay = is_passing ? retry_.repeat() : retry_.next();
    co_await pause(delay);
  }
  enter(State::kStopping);
  if (is_releasing_) co_await give_back(std::move(last_socket));
  co_return code;
}

asio::awaitable<void> Supervisor::give_back(std::optional<asio::ip::udp::socket> socket) {
  if (!leased_) co_return;
  auto profile = make_profile(config_, leased_->server, log_);
  profile.release = leased_->request;
  release_result_ = co_await tunnel::release_lease(std::move(profile), leased_->target, std::move(socket));
  if (release_result_.is_released) {
    log_.info("the lease was given back to broker {}", leased_->server.text);
  } else {
    log_.warn("the lease could not be given back to broker {}: {}", leased_->server.text,
              release_result_.problem);
  }
}

asio::awaitable<void> Supervisor::pause(milliseconds time) {
  // What changed during the attempt is as good a reason as what changes from now on.
  if (time > kSettle && platform::network_state({}) != network_ && hurry_limit_.allow(Clock::now()))
    time = kSettle;
  retry_at_ = Clock::now() + time;
  enter(State::kWaiting);
  log_.info("next attempt in {:.1f} s", in_milliseconds(time) / 1000.0);
  while (!is_stopping_ && Clock::now() < retry_at_) {
    pause_.expires_at(retry_at_);
    co_await (pause_.async_wait(kAwait) || stop_signal_.async_wait(kAwait));
  }
}

void Supervisor::on_change(const platform::ChangeMonitor::Changes& changes) {
  if (changes.clock) log_.info("the clock was set, or the machine was asleep");
  const bool is_up = status_.state == State::kUp;
  if (!is_up && status_.state != State::kWaiting) return;  // pause() will see it
  const auto network = platform::network_state(is_up ? parameters_.interface : std::string());
  const bool is_other = std::exchange(network_, network) != network;
  if (is_up) {
    if (is_other) holder_.on_network_change();
    if (changes.clock) holder_.on_clock_change();
  } else if ((is_other || changes.clock) && retry_at_ > Clock::now() + kSettle &&
             hurry_limit_.allow(Clock::now())) {
    log_.info("the network changed: trying now");
    retry_at_ = Clock::now() + kSettle;
    pause_.cancel();
  }
}

asio::awaitable<void> Supervisor::watch_network() {
  auto monitor = platform::ChangeMonitor::open();
  asio::steady_timer timer(io_, Clock::time_point::max());
  if (!monitor) {
    log_.info("cannot watch the network for changes ({}); keepalives will notice them",
              monitor.error().message());
    co_await timer.async_wait(kAwait);
    co_return;
  }
  asio::posix::stream_descriptor descriptor(io_, monitor->fd());
  while (!is_stopping_) {
    const auto [error] = co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
    if (error) break;
    on_change(monitor->drain());
    // Changes come in bursts.
    timer.expires_after(kBurst);
    co_await timer.async_wait(kAwait);
  }
  descriptor.release();
  // The other half of run() decides when it is over.
  timer.expires_at(Clock::time_point::max());
  co_await timer.async_wait(kAwait);
}

asio::awaitable<std::optional<Failed>> Supervisor::attempt() {
  // Whatever goes wrong here costs this attempt, never the program.
  try {
    std::optional<Failed> failed;
    if (config_.tunnel_mode == TunnelMode::kDsLite) {
      failed = co_await find_aftr();
    } else {
      failed = co_await negotiate();
    }
    if (failed) co_return failed;
    enter(State::kConfiguring);
    // On lines of their own: gcc 12 destroys temporaries of a co_await expression twice.
    auto socket = std::exchange(socket_, std::nullopt);
    std::function<bool()> is_hurried = [this] { return is_stopping_; };
    auto creating = holder_.create(parameters_, std::move(socket), std::move(is_hurried));
    failed = co_await std::move(creating);
    status_.timings.template_run = template_.create_duration();
    if (failed) co_return failed;
    parameters_ = holder_.parameters();
    on_up();
    if (holder_.needs_nobody()) {
      if (leased_ && leased_->tunnel.lifetime > seconds(0))
        log_.info("the broker grants it for {} s, and nobody renews it", leased_->tunnel.lifetime.count());
      co_return std::nullopt;
    }
    const auto outcome = co_await (holder_.hold() || keep_lease());
    co_return outcome.index() == 0 ? std::get<0>(outcome) : std::get<1>(outcome);
  } catch (const std::exception& exception) {
    co_return Failed{kExitFailed, exception.what()};
  }
}

asio::awaitable<Failed> Supervisor::keep_lease() {
  asio::steady_timer timer(io_);
  for (;;) {
    // dslite is negotiated with nobody.
    timer.expires_at(leased_ ? leased_->clock.due() : Clock::time_point::max());
    const auto [error] = co_await timer.async_wait(kAwait);
    if (error) co_return Failed{kExitFailed, error.message()};
    auto failed = co_await renew();
    if (failed) co_return *std::move(failed);
  }
}

asio::awaitable<std::optional<Failed>> Supervisor::renew() {
  auto& lease = *leased_;
  const bool is_over_udp = lease.tunnel.mode == tsp::Mode::kV6UdpV4;
  // An anonymous client is known by its endpoint.
  auto socket = holder_.lend_socket();
  if (is_over_udp && !socket)
    co_return Failed{kExitFailed,
                     "the lease ends soon, and the kernel has the port that it would be renewed over", true};
  auto profile = make_profile(config_, lease.server, log_);
  profile.version = lease.version;
  tunnel::NegotiationEvents events;
  events.on_packet = [this](std::span<std::uint8_t> packet) { holder_.input(packet); };
  auto negotiating =
      tunnel::negotiate(std::move(profile), lease.target, std::move(events), std::move(socket));
  auto negotiation = co_await std::move(negotiating);
  holder_.take_socket_back();
  if (is_stopping_) co_return std::nullopt;
  const auto now = Clock::now();
  if (!negotiation.tunnel) {
    lease.clock.failed(now);
    log_.warn("broker {} did not renew the lease: {}; asking again in {} s", lease.server.text,
              negotiation.failure->message, duration_cast<seconds>(lease.clock.due() - now).count());
    // Otherwise keepalives tell when the broker ends it.
    if (lease.clock.is_over(now) && !holder_.keepalive())
      co_return Failed{kExitFailed, "the lease ended and was not renewed", true};
    co_return std::nullopt;
  }
  // How the broker sees our end may change with every NAT mapping.
  auto granted = *negotiation.tunnel;
  granted.lifetime = lease.tunnel.lifetime;
  (lease.tunnel.mode == tsp::Mode::kV4V6 ? void(granted.client_v6 = lease.tunnel.client_v6)
                                         : void(granted.client_v4 = lease.tunnel.client_v4));
  if (granted != lease.tunnel)
    co_return Failed{kExitFailed, "the broker grants another tunnel in place of this one", true};
  lease.tunnel.lifetime = negotiation.tunnel->lifetime;
  lease.clock = tunnel::LeaseClock(lease.tunnel.lifetime, now);
  log_.info("broker {} renewed the lease for {} s", lease.server.text, lease.tunnel.lifetime.count());
  co_return std::nullopt;
}

std::optional<Failed> Supervisor::check_wireguard(const Grant& grant) {
  const WireguardServers known(config_.state_dir + "/" + std::string(kWireguardServersFile));
  auto verdict = known.check(grant.server.text, grant.negotiation.tunnel->wireguard->key);
  if (!verdict.is_trusted) return Failed{kExitAuthentication, std::move(verdict.note)};
  if (!verdict.note.empty()) log_.info("{}", verdict.note);
  if (parameters_.server_outer.is_unspecified()) parameters_.server_outer = grant.target.address;
  if (parameters_.server_port == 0) parameters_.server_port = grant.target.port;
  return std::nullopt;
}

asio::awaitable<std::optional<Failed>> Supervisor::negotiate() {
  if (config_.tunnel_mode == TunnelMode::kWireguard) {
    const auto key = pki::load_or_make_wireguard_key(config_.private_key_file);
    if (!key.pair) co_return Failed{kExitFailed, key.problem};
  }
  auto found = co_await search_.run();
  if (auto* failed = std::get_if<Failed>(&found)) co_return std::move(*failed);
  auto grant = std::get<Grant>(std::move(found));
  const auto& info = *grant.negotiation.tunnel;
  if (info.mode == tsp::Mode::kV6UdpV4 && !grant.negotiation.socket) {
    co_return Failed{
        kExitModeNotOffered,
        "broker " + grant.server.text +
            " granted a v6udpv4 tunnel over TCP because UDP did not get through; v6udpv4 carries its packets "
            "in UDP and cannot work over TCP: let UDP port " +
            std::to_string(grant.target.port) + " to the broker through the firewall",
        false, search_.has_met_silence()};
  }
  parameters_ = tunnel::from_info(info);
  leased_ = Leased{grant.server,
                   grant.target,
                   {info.mode, parameters_.client_inner},
                   info,
                   grant.negotiation.version,
                   tunnel::LeaseClock(info.lifetime, Clock::now())};
  parameters_.local_outer = grant.negotiation.local_address;
  if (info.mode == tsp::Mode::kWireguard) {
    if (auto failed = check_wireguard(grant)) co_return failed;
    socket_ = std::move(grant.negotiation.socket);
  }
  if (info.mode == tsp::Mode::kV6UdpV4) {
    // The negotiation's own way, also over IPv6.
    parameters_.server_outer = grant.target.address;
    socket_ = std::move(grant.negotiation.socket);
  } else if (parameters_.server_outer.is_v4() != grant.target.address.is_v4() && !config_.proxy_client) {
    // Negotiated over the other family.
    parameters_.local_outer =
        platform::source_towards(parameters_.server_outer).value_or(parameters_.client_outer);
  }
  if (config_.proxy_client) {
    parameters_.local_outer = parameters_.client_outer;  // the other machine's, not the negotiation's
  } else {
    parameters_.client_outer = parameters_.local_outer;
  }
  if (const auto loop = tunnel::loop_in(parameters_); !loop.empty())
    co_return Failed{kExitBadParameters,
                     "broker " + grant.server.text + " granted a tunnel that cannot work: " + loop};
  parameters_.host_type =
      config_.host_type == HostType::kRouter ? tunnel::HostType::kRouter : tunnel::HostType::kHost;
  parameters_.home_interfaces = config_.home_interfaces;
  parameters_.default_route = default_route_of(config_.default_route);
  if (!config_.keepalive) parameters_.keepalive_interval.reset();
  if (config_.keepalive && !parameters_.keepalive_interval)
    log_.warn("the broker gave no address for keepalives; a dead tunnel will not be noticed");
  fill_in(grant);
  co_return std::nullopt;
}

// RFC 6333: the tunnel's other end is configured, and nobody is asked.
asio::awaitable<std::optional<Failed>> Supervisor::find_aftr() {
  enter(State::kResolving);
  Failed failed{kExitCannotResolve, "no AFTR is configured"};
  const auto count = config_.servers.size();
  const auto first = aftr_;
  for (std::size_t i = 0; i < count; ++i) {
    // The next attempt is made when this one's tunnel has failed: with another, if there is one.
    aftr_ = (first + i + 1) % count;
    const auto& server = config_.servers[(first + i) % count];
    const auto started = Clock::now();
    const auto addresses = co_await net::resolve(server.host, kResolveLimit);
    status_.timings.resolve += duration_cast<microseconds>(Clock::now() - started);
    if (!addresses) {
      failed.message = "cannot resolve the AFTR's name " + server.host + ": " + addresses.error().message();
      continue;
    }
    failed = {kExitCannotConnect, "the AFTR " + server.text + " has no IPv6 address that can be reached"};
    for (const auto& address : *addresses) {
      if (!address.is_v6()) continue;
      boost::system::error_code is_auto;
      const auto configured = asio::ip::make_address(config_.client_v6, is_auto);
      const auto source = is_auto ? platform::source_towards(address) : configured;
      if (!source) continue;
      parameters_ = {};
      parameters_.mode = tsp::Mode::kV4V6;
      parameters_.local_outer = parameters_.client_outer = *source;
      parameters_.server_outer = address;
      parameters_.client_inner = config_.dslite_client;
      parameters_.server_inner = config_.dslite_server;
      parameters_.default_route = default_route_of(config_.default_route);
      if (config_.keepalive) parameters_.keepalive_interval = config_.keepalive_interval;
      parameters_.keepalive_address = config_.dslite_server;
      status_.broker_name = server.text;
      status_.broker_address = address.to_string();
      status_.broker_port = 0;
      status_.transport = status_.authentication = status_.public_outer = "";
      co_return std::nullopt;
    }
  }
  co_return failed;
}

void Supervisor::fill_in(const Grant& grant) {
  auto& s = status_;
  s.broker_name = grant.server.text;
  s.broker_address = grant.target.address.to_string();
  s.broker_port = grant.target.port;
  s.broker_found = grant.found;
  s.transport = name_of(grant.target.transport);
  s.authentication = grant.negotiation.method;
  s.broker_found = grant.found;
  const auto& seen = tunnel::from_info(*grant.negotiation.tunnel).client_outer;
  s.public_outer = seen.is_unspecified() ? "" : seen.to_string();
}

void Supervisor::on_up() {
  up_since_ = Clock::now();
  auto& s = status_;
  s.timings.up = duration_cast<microseconds>(up_since_ - attempt_started_);
  if (was_up_) ++s.reconnections;
  s.mode = config_.tunnel_mode == TunnelMode::kDsLite ? "dslite" : tsp::to_string(parameters_.mode);
  s.interface = config_.proxy_client ? "" : parameters_.interface;
  s.datapath = holder_.datapath();
  s.datapath_reason = holder_.datapath_reason();
  s.lanes = holder_.lanes();
  s.offloads = holder_.offloads();
  s.local_outer = parameters_.local_outer.to_string();
  s.remote_outer = parameters_.server_outer.to_string();
  s.local_inner = parameters_.client_inner.to_string();
  s.remote_inner = parameters_.server_inner.to_string();
  s.prefix = parameters_.prefix      ? parameters_.prefix->to_string()
             : parameters_.prefix_v4 ? parameters_.prefix_v4->to_string()
                                     : "";
  s.mtu = parameters_.mtu;
  s.keepalive_interval = parameters_.keepalive_interval;
  network_ = platform::network_state(parameters_.interface);
  enter(State::kUp);
  log_.info(
      "tunnel up: {} on {} to {} ({}, {}, {}, MTU {}); {} round trips in {:.1f} ms, template {:.1f} ms, "
      "all {:.1f} ms",
      s.local_inner, s.interface.empty() ? "another machine" : s.interface, s.broker_name, s.mode,
      s.authentication.empty() ? "no negotiation" : s.authentication, s.datapath, s.mtu,
      s.timings.round_trips, in_milliseconds(s.timings.negotiation), in_milliseconds(s.timings.template_run),
      in_milliseconds(s.timings.up));
  if (!s.prefix.empty()) log_.info("delegated prefix: {}", s.prefix);
  if (!was_up_ && settings_.on_first_up) settings_.on_first_up();
  was_up_ = true;
}

asio::awaitable<void> Supervisor::tear_down() {
  socket_.reset();
  if (holder_.exists()) {
    const bool was_up = status_.state == State::kUp;
    enter(State::kTearingDown);
    const bool is_down = co_await holder_.tear_down();
    if (is_down) {
      if (was_up) log_.info("tunnel on {} taken down", parameters_.interface);
    }
    status_.counters = holder_.counters();
  }
  // Only the counters and the history of a tunnel that is no more.
  for (auto* text :
       {&status_.interface, &status_.datapath, &status_.offloads, &status_.datapath_reason,
        &status_.local_outer, &status_.remote_outer, &status_.public_outer, &status_.local_inner,
        &status_.remote_inner, &status_.prefix, &status_.mode, &status_.authentication, &status_.transport}) {
    text->clear();
  }
  status_.mtu = 0;
  status_.keepalive_interval.reset();
}

Status Supervisor::status() {
  Status status = status_;
  const auto now = Clock::now();
  if (status.state == State::kUp) {
    status.counters = holder_.counters();
    status.mtu = holder_.parameters().mtu;
    status.local_outer = holder_.parameters().local_outer.to_string();
  }
  if (const auto& keepalive = holder_.keepalive()) {
    status.rtt = keepalive->rtt();
    if (const auto last = keepalive->last_reply())
      status.last_reply_age = duration_cast<seconds>(now - *last);
  }
  if (status.state == State::kWaiting)
    status.retry_in = std::max(seconds(0), duration_cast<seconds>(retry_at_ - now));
  return status;
}

}  // namespace sixlink::client
