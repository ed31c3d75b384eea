// SPDX-License-Identifier: BSD-3-Clause
// Holds one tunnel up.
#include "src/client/supervisor.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <vector>

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

template <typename T>
T random_value() {
  T value{};
  platform::random_bytes({reinterpret_cast<std::uint8_t*>(&value), sizeof value});
  return value;
}

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
      wake_(io),
      search_(config, log, search_hooks()),
      template_({config.template_name, config.home_dir, settings_.data_dir,
                 config.run_dir + "/" + config.instance_name(), settings_.verbosity},
                log),
      retry_(config.retry_delay, config.retry_delay_max, random_value<std::uint64_t>()) {}

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

asio::awaitable<int> Supervisor::run() {
  co_await template_.remove_leftovers();
  int code = kExitCannotConnect;
  while (!is_stopping_) {
    attempt_started_ = Clock::now();
    status_.timings = {};
    status_.retry_in.reset();
    const auto outcome = co_await (attempt() || stop_signal_.async_wait(kAwait));
    const bool was_up = status_.state == State::kUp;
    const auto lived = Clock::now() - up_since_;
    if (outcome.index() == 0) {
      const auto& failed = std::get<0>(outcome);
      status_.last_error = failed.message;
      code = failed.code;
      log_.error("{}{}", was_up ? "the tunnel failed: " : "no tunnel: ", failed.message);
    } else if (was_up) {
      code = kExitOk;
    }
    co_await tear_down();
    if (is_stopping_ || settings_.give_up_at_first_failure) break;
    // A tunnel that worked for a while is worth an immediate try; one that fails again and again is not.
    if (was_up && lived >= config_.retry_delay) {
      retry_.reset();
      continue;
    }
    const auto pause = retry_.next();
    retry_at_ = Clock::now() + pause;
    enter(State::kWaiting);
    log_.info("next attempt in {:.1f} s", in_milliseconds(pause) / 1000.0);
    asio::steady_timer timer(io_, retry_at_);
    co_await (timer.async_wait(kAwait) || stop_signal_.async_wait(kAwait));
  }
  enter(State::kStopping);
  co_return code;
}

asio::awaitable<Failed> Supervisor::attempt() {
  // Whatever goes wrong here costs this attempt, never the program.
  try {
    auto found = co_await search_.run();
    if (const auto* failed = std::get_if<Failed>(&found)) co_return *failed;
    if (auto failed = co_await create(std::get<Grant>(std::move(found)))) co_return *failed;
    co_return co_await keep_alive();
  } catch (const std::exception& exception) {
    co_return Failed{kExitFailed, exception.what()};
  }
}

asio::awaitable<std::optional<Failed>> Supervisor::create(Grant grant) {
  auto& negotiation = grant.negotiation;
  const auto& info = *negotiation.tunnel;
  if (info.mode != tsp::Mode::kV6UdpV4 || !negotiation.socket) {
    std::string message = "broker " + grant.server.text + " granted a " +
                          std::string(tsp::to_string(info.mode)) + " tunnel, which this version cannot carry";
    if (grant.target.transport == tsp::Transport::kTcp) {
      message +=
          ". The negotiation went over TCP because UDP did not get through; v6udpv4 carries its packets in "
          "UDP and cannot work over TCP: let UDP port " +
          std::to_string(grant.target.port) + " to the broker through the firewall";
    }
    co_return Failed{kExitModeNotOffered, message};
  }
  enter(State::kConfiguring);
  parameters_ = tunnel::from_info(info);
  parameters_.host_type = tunnel::HostType::kHost;
  parameters_.default_route = default_route_of(config_.default_route);
  parameters_.client_outer = negotiation.local_address;
  parameters_.server_outer = grant.target.address;
  if (!config_.keepalive) parameters_.keepalive_interval.reset();
  if (config_.keepalive && !parameters_.keepalive_interval)
    log_.warn("the broker gave no address for keepalives; a dead tunnel will not be noticed");

  auto tun = platform::open_tun(config_.interface_v6udpv4);
  if (!tun)
    co_return Failed{kExitInterface, platform::explain_tun_error(config_.interface_v6udpv4, tun.error())};
  tun_ = *std::move(tun);
  parameters_.interface = tun_->name();

  const auto problem = co_await template_.create(parameters_, [this] { return is_stopping_; });
  status_.timings.template_run = template_.create_duration();
  if (!problem.empty()) co_return Failed{kExitInterface, problem};
  if (is_stopping_) co_return Failed{kExitCannotConnect, "told to end"};
  start_datapath(std::move(*negotiation.socket));
  on_up(grant);
  co_return std::nullopt;
}

void Supervisor::start_datapath(asio::ip::udp::socket socket) {
  interface_error_.reset();
  datapath::PlainTunnel::Events events;
  events.on_packet = [this](const net::Ipv6Header& header, std::span<const std::uint8_t> packet) {
    if (!keepalive_ || header.next_header != net::kNextHeaderIcmpv6) return;
    const auto now = Clock::now();
    if (!keepalive_->input(header, packet, now)) return;
    if (!status_.timings.first_reply)
      status_.timings.first_reply = duration_cast<microseconds>(now - attempt_started_);
    wake_.cancel();
  };
  events.on_socket_error = [this](const boost::system::error_code& error) {
    if (socket_error_limit_.allow(Clock::now()))
      log_.warn("sending to the broker failed ({}); asking whether the tunnel still works", error.message());
    if (keepalive_) keepalive_->probe_soon(Clock::now());
    wake_.cancel();
  };
  events.on_interface_error = [this](const boost::system::error_code& error) {
    interface_error_ = error;
    wake_.cancel();
  };
  const datapath::InnerFilter filter(parameters_.client_inner, parameters_.prefix);
  datapath_ = std::make_unique<datapath::PlainTunnel>(std::move(tun_), std::move(socket), filter,
                                                      parameters_.mtu, std::move(events));
  keepalive_.reset();
  if (parameters_.keepalive_interval) {
    tunnel::Keepalive::Settings settings;
    settings.source = parameters_.client_inner;
    settings.destination = parameters_.keepalive_address.to_v6();
    settings.interval = *parameters_.keepalive_interval;
    settings.identifier = random_value<std::uint16_t>();
    settings.cookie = random_value<std::uint64_t>();
    keepalive_.emplace(settings, Clock::now());
  }
}

void Supervisor::on_up(const Grant& grant) {
  up_since_ = Clock::now();
  auto& s = status_;
  s.timings.up = duration_cast<microseconds>(up_since_ - attempt_started_);
  if (was_up_) ++s.reconnections;
  s.broker_name = grant.server.text;
  s.broker_address = grant.target.address.to_string();
  s.broker_port = grant.target.port;
  s.transport = name_of(grant.target.transport);
  s.authentication = grant.negotiation.method;
  s.mode = tsp::to_string(parameters_.mode);
  s.interface = parameters_.interface;
  s.datapath = "userspace";
  s.local_outer = grant.negotiation.local_address.to_string();
  s.remote_outer = parameters_.server_outer.to_string();
  s.public_outer = grant.negotiation.tunnel->client_v4.to_string();
  s.local_inner = parameters_.client_inner.to_string();
  s.remote_inner = parameters_.server_inner.to_string();
  s.prefix = parameters_.prefix ? parameters_.prefix->to_string() : "";
  s.mtu = parameters_.mtu;
  s.keepalive_interval = parameters_.keepalive_interval;
  enter(State::kUp);
  log_.info(
      "tunnel up: {} on {} to broker {} ({}, {}, MTU {}); {} round trips in {:.1f} ms, template {:.1f} ms, "
      "all {:.1f} ms",
      s.local_inner, s.interface, s.broker_name, s.mode, s.authentication, s.mtu, s.timings.round_trips,
      in_milliseconds(s.timings.negotiation), in_milliseconds(s.timings.template_run),
      in_milliseconds(s.timings.up));
  if (parameters_.prefix) log_.info("delegated prefix: {}", s.prefix);
  if (!was_up_ && settings_.on_first_up) settings_.on_first_up();
  was_up_ = true;
}

asio::awaitable<Failed> Supervisor::keep_alive() {
  for (;;) {
    if (interface_error_) {
      co_return Failed{kExitTunnelIo, "the interface " + parameters_.interface +
                                          " cannot be used any more (was it deleted or set down?): " +
                                          interface_error_->message()};
    }
    auto deadline = Clock::time_point::max();
    if (keepalive_) {
      const auto output = keepalive_->tick(Clock::now());
      if (output.is_dead)
        co_return Failed{kExitKeepaliveTimeout, "the broker's keepalive address " +
                                                    parameters_.keepalive_address.to_string() +
                                                    " does not answer through the tunnel"};
      if (output.echo) datapath_->send(output.echo->bytes());
      deadline = keepalive_->deadline();
    }
    wake_.expires_at(deadline);
    co_await wake_.async_wait(kAwait);
  }
}

asio::awaitable<void> Supervisor::tear_down() {
  keepalive_.reset();
  if (tun_ || datapath_) {
    enter(State::kTearingDown);
    // A statement of its own: with co_await as an operand of && gcc 12 makes code that runs into an illegal
    // instruction.
    const bool is_down = co_await template_.tear_down();
    if (is_down && datapath_) log_.info("tunnel on {} taken down", parameters_.interface);
  }
  if (datapath_) status_.counters = datapath_->counters();
  datapath_.reset();
  tun_.reset();
  // Only the counters and the history of a tunnel that is no more.
  for (auto* text : {&status_.interface, &status_.datapath, &status_.local_outer, &status_.remote_outer,
                     &status_.public_outer, &status_.local_inner, &status_.remote_inner, &status_.prefix,
                     &status_.mode, &status_.authentication, &status_.transport}) {
    text->clear();
  }
  status_.mtu = 0;
  status_.keepalive_interval.reset();
}

Status Supervisor::status() const {
  Status status = status_;
  const auto now = Clock::now();
  if (datapath_) status.counters = datapath_->counters();
  if (keepalive_) {
    status.rtt = keepalive_->rtt();
    if (const auto last = keepalive_->last_reply())
      status.last_reply_age = duration_cast<seconds>(now - *last);
  }
  if (status.state == State::kWaiting)
    status.retry_in = std::max(seconds(0), duration_cast<seconds>(retry_at_ - now));
  return status;
}

}  // namespace sixlink::client
