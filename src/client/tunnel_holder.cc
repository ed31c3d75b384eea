// SPDX-License-Identifier: BSD-3-Clause
// One tunnel from its grant to its teardown.
#include "src/client/tunnel_holder.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "platform/system_defaults.h"
#include "src/tunnel/datapath_link.h"
#include "src/tunnel/kernel_link.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// How often the tunnel's counters are looked at: part of the ten seconds in which a dead one is noticed.
constexpr milliseconds kLookInterval{1000};
// Changes of the network come in bursts; the last one counts.
constexpr milliseconds kSettle{500};
// Paths change: ask again what this one carries.
constexpr seconds kProbeInterval{600};

platform::RawTunnel raw_tunnel_of(tsp::Mode mode) {
  return mode == tsp::Mode::kV4V6 ? platform::RawTunnel::kIpv4InIpv6 : platform::RawTunnel::kIpv6InIpv4;
}

bool is_wireguard(const tunnel::TunnelParameters& parameters) {
  return parameters.mode == tsp::Mode::kWireguard;
}

bool is_over_udp(const tunnel::TunnelParameters& parameters) {
  return parameters.mode == tsp::Mode::kV6UdpV4;
}

}  // namespace

TunnelHolder::TunnelHolder(asio::io_context& io, const Config& config, spdlog::logger& log,
                           tunnel::TemplateRunner& runner, std::function<void()> on_echo_reply)
    : io_(io),
      config_(config),
      log_(log),
      template_(runner),
      on_echo_reply_(std::move(on_echo_reply)),
      wake_(io) {}

asio::awaitable<std::optional<Failed>> TunnelHolder::create(tunnel::TunnelParameters parameters,
                                                            std::optional<asio::ip::udp::socket> socket,
                                                            std::function<bool()> is_hurried) {
  parameters_ = std::move(parameters);
  is_hurried_ = std::move(is_hurried);
  is_created_ = true;
  interface_error_.reset();
  socket_ = std::move(socket);
  if (socket_) {
    local_endpoint_ = socket_->local_endpoint();
    remote_endpoint_ = socket_->remote_endpoint();
    parameters_.local_port = local_endpoint_.port();
    if (!is_wireguard(parameters_)) parameters_.server_port = remote_endpoint_.port();
  }
  parameters_.interface = interface_name();
  bool is_unsupported = false;
  if (config_.proxy_client) {
    parameters_.kind = tunnel::InterfaceKind::kNone;
    datapath_reason_ = "none: the tunnel is another machine's";
    co_return co_await run_template(is_unsupported);
  }
  // FOU is for those who ask for it: the kernel then holds the negotiation's port, and no lease can be
  // renewed over it.
  const bool is_kernel_first = config_.datapath == DatapathChoice::kKernel ||
                               (config_.datapath == DatapathChoice::kAuto && !is_over_udp(parameters_));
  if (is_wireguard(parameters_)) {
    auto loaded = pki::load_wireguard_key(config_.private_key_file);
    if (!loaded.pair) co_return Failed{kExitInterface, loaded.problem};
    key_ = std::move(loaded.pair);
  }
  if (is_kernel_first) {
    std::optional<Failed> failed;
    if (is_wireguard(parameters_)) {
      failed = co_await create_wireguard_in_kernel(is_unsupported);
    } else {
      failed = co_await create_in_kernel(is_unsupported);
    }
    if (!failed || !is_unsupported || config_.datapath == DatapathChoice::kKernel) co_return failed;
    log_.info("this system has no tunnel interface of its own for {}; sixlink moves the packets itself",
              tsp::to_string(parameters_.mode));
    datapath_reason_ =
        "userspace: the system has no tunnel interface for " + std::string(tsp::to_string(parameters_.mode));
  } else {
    datapath_reason_ = config_.datapath == DatapathChoice::kUserspace ? "userspace: datapath=userspace"
                                                                      : "userspace: v6udpv4";
  }
  if (is_wireguard(parameters_)) co_return co_await create_wireguard_in_userspace();
  co_return co_await create_in_userspace();
}

std::string TunnelHolder::interface_name() const {
  switch (parameters_.mode) {
    case tsp::Mode::kV6V4:
      return config_.interface_v6v4;
    case tsp::Mode::kV4V6:
      // gogoc's default; but the name is that of a device which Linux makes itself.
      return config_.interface_v4v6 == "sit0" ? "ip6tnl1" : config_.interface_v4v6;
    case tsp::Mode::kWireguard:
      return config_.interface_wireguard;
    default:
      return config_.interface_v6udpv4;
  }
}

// `mtu` is the broker's, or the least that is certain to pass.
void TunnelHolder::choose_mtu() {
  auto& p = parameters_;
  const int overhead = tunnel::encapsulation_overhead(p.mode, p.server_outer.is_v6());
  const int outer = std::min(1500, platform::mtu_of_address(p.local_outer).value_or(1500));
  const int most = std::max(outer - overhead, tunnel::least_mtu(p.mode));
  if (p.is_mtu_granted) {
    p.mtu = std::min(p.mtu, most);
  } else if (p.kind == tunnel::InterfaceKind::kKernel) {
    // The kernel discovers the path's MTU where ICMP gets through; the probe finds it where not.
    p.mtu = most;
  } else {
    p.mtu = std::min(most, p.is_v4_inside() ? 1280 - overhead : 1280);
  }
}

asio::awaitable<std::optional<Failed>> TunnelHolder::run_template(bool& is_unsupported) {
  const auto result = co_await template_.create(parameters_, is_hurried_);
  is_unsupported = result.is_unsupported;
  if (!result.problem.empty()) co_return Failed{kExitInterface, result.problem};
  if (is_hurried_()) co_return Failed{kExitCannotConnect, "told to end"};
  co_return std::nullopt;
}

asio::awaitable<std::optional<Failed>> TunnelHolder::create_in_kernel(bool& is_unsupported) {
  parameters_.kind = tunnel::InterfaceKind::kKernel;
  choose_mtu();
  if (is_over_udp(parameters_)) {
    // FOU takes the port over: the NAT's mapping stays.
    socket_.reset();
    if (parameters_.interface == "tun") parameters_.interface = platform::kTunnelV6V4;
  }
  if (auto failed = co_await run_template(is_unsupported)) {
    if (is_unsupported && is_over_udp(parameters_) && !reopen_socket()) is_unsupported = false;
    parameters_.interface = interface_name();
    co_return failed;
  }
  const bool wants_echo = config_.keepalive && parameters_.keepalive_interval;
  const auto target = wants_echo ? parameters_.keepalive_address : asio::ip::address();
  auto link = tunnel::KernelLink::open(io_.get_executor(), parameters_, target, link_events());
  if (!link) {
    co_return Failed{kExitInterface,
                     "cannot watch the interface " + parameters_.interface + ": " + link.error().message()};
  }
  link_ = *std::move(link);
  datapath_reason_ = "kernel";
  start_keepalive();
  start_probe();
  co_return std::nullopt;
}

bool TunnelHolder::reopen_socket() {
  boost::system::error_code error;
  asio::ip::udp::socket socket(io_);
  socket.open(local_endpoint_.protocol(), error);
  if (!error) socket.bind(local_endpoint_, error);
  if (!error) socket.connect(remote_endpoint_, error);
  if (error) {
    log_.error("cannot take the UDP port {} back: {}", local_endpoint_.port(), error.message());
    return false;
  }
  socket_ = std::move(socket);
  return true;
}

std::optional<Failed> TunnelHolder::open_outer() {
  if (is_over_udp(parameters_)) {
    if (socket_) return std::nullopt;
    return Failed{kExitModeNotOffered, "the broker granted a v6udpv4 tunnel over TCP, which cannot carry it"};
  }
  const auto socket = platform::open_raw_tunnel(raw_tunnel_of(parameters_.mode), parameters_.local_outer,
                                                parameters_.server_outer);
  if (!socket) {
    return Failed{kExitSocket, "cannot open a raw socket for " +
                                   std::string(tsp::to_string(parameters_.mode)) + ": " +
                                   socket.error().message() + "; run as root, or with CAP_NET_RAW"};
  }
  raw_socket_ = *socket;
  return std::nullopt;
}

asio::awaitable<std::optional<Failed>> TunnelHolder::create_in_userspace() {
  parameters_.kind = tunnel::InterfaceKind::kTun;
  choose_mtu();
  if (auto failed = open_outer()) co_return failed;
  if (!platform::can_be_tun(parameters_.interface)) {
    log_.info("{} is no name for this system's TUN interfaces: taking the first free one",
              parameters_.interface);
    parameters_.interface = "tun";
  }
  const auto options = lane_options();
  auto queues =
      platform::open_tun_queues(parameters_.interface, datapath::lane_count(options), options.offloads);
  if (!queues) {
    co_return Failed{kExitInterface, platform::explain_tun_error(parameters_.interface, queues.error())};
  }
  tun_ = *std::move(queues);
  parameters_.interface = tun_.front()->name();
  bool is_unsupported = false;
  if (auto failed = co_await run_template(is_unsupported)) co_return failed;
  const int socket = is_over_udp(parameters_) ? socket_->release() : std::exchange(raw_socket_, -1);
  socket_.reset();
  const auto target =
      parameters_.keepalive_interval ? parameters_.keepalive_address : parameters_.server_inner;
  link_ = std::make_unique<tunnel::DatapathLink>(io_.get_executor(), std::move(tun_), socket, parameters_,
                                                 target, options.offloads, link_events());
  tun_.clear();
  start_keepalive();
  start_probe();
  co_return std::nullopt;
}

datapath::LaneOptions TunnelHolder::lane_options() const {
  return {static_cast<std::size_t>(config_.threads),
          config_.offload ? platform::Offloads{} : platform::Offloads::none()};
}

tunnel::LinkEvents TunnelHolder::link_events() {
  tunnel::LinkEvents events;
  events.on_echo_reply = [this](const net::EchoReply& reply) {
    const auto now = Clock::now();
    if (keepalive_ && keepalive_->input(reply, now)) {
      on_echo_reply_();
      wake_.cancel();
    } else if (probe_ && probe_->input(reply, now)) {
      wake_.cancel();
    }
  };
  events.on_outer_error = [this](const boost::system::error_code& error) {
    if (outer_error_limit_.allow(Clock::now()))
      log_.warn("sending to the broker failed ({}); asking whether the tunnel still works", error.message());
    if (keepalive_) keepalive_->probe_soon(Clock::now());
    wake_.cancel();
  };
  events.on_interface_error = [this](const boost::system::error_code& error) {
    interface_error_ = error;
    wake_.cancel();
  };
  return events;
}

void TunnelHolder::start_keepalive() {
  keepalive_.reset();
  if (!config_.keepalive || !parameters_.keepalive_interval) return;
  tunnel::Keepalive::Settings settings;
  settings.interval = *parameters_.keepalive_interval;
  settings.may_be_mute = config_.tunnel_mode == TunnelMode::kDsLite;
  settings.identifier = platform::random_number<std::uint16_t>();
  settings.cookie = platform::random_number<std::uint64_t>();
  keepalive_.emplace(settings, Clock::now());
}

void TunnelHolder::start_probe() {
  probe_.reset();
  if (parameters_.is_mtu_granted) return;
  tunnel::PathProbe::Settings settings;
  settings.is_v4 = parameters_.is_v4_inside();
  settings.overhead = tunnel::encapsulation_overhead(parameters_.mode, parameters_.server_outer.is_v6());
  settings.least = std::min(parameters_.mtu, settings.is_v4 ? 1280 - settings.overhead : 1280);
  // What exceeds an interface of the kernel's would be fragmented before it.
  settings.largest = parameters_.kind == tunnel::InterfaceKind::kKernel
                         ? parameters_.mtu
                         : std::min(1500, platform::mtu_of_address(parameters_.local_outer).value_or(1500)) -
                               settings.overhead;
  next_probe_ = Clock::now() + kProbeInterval;
  if (settings.largest <= settings.least) return;
  settings.identifier = platform::random_number<std::uint16_t>();
  settings.cookie = platform::random_number<std::uint64_t>();
  // The keepalive goes first: its answer is what shows that the tunnel works.
  probe_.emplace(settings, Clock::now() + milliseconds(1));
}

void TunnelHolder::finish_probe() {
  const auto found = probe_->result();
  probe_.reset();
  if (!found || *found == parameters_.mtu) return;
  if (const auto error = platform::set_interface_mtu(parameters_.interface, *found)) {
    log_.warn("cannot set the MTU of {} to {}: {}", parameters_.interface, *found, error.message());
    return;
  }
  log_.info("the path to the broker carries packets of {} bytes; MTU of {} changed from {}", *found,
            parameters_.interface, parameters_.mtu);
  parameters_.mtu = *found;
  link_->set_mtu(*found);
}

asio::awaitable<Failed> TunnelHolder::hold() {
  auto next_look = Clock::now() + kLookInterval;
  for (;;) {
    const auto now = Clock::now();
    if (interface_error_) {
      co_return Failed{kExitTunnelIo, "the interface " + parameters_.interface +
                                          " cannot be used any more (was it deleted or set down?): " +
                                          interface_error_->message()};
    }
    if (look_at_network_ && now >= *look_at_network_) {
      look_at_network_.reset();
      if (is_way_lost()) co_await template_.refresh();
      if (auto failed = check_address()) co_return *failed;
    }
    if (now >= next_look) {
      next_look = now + kLookInterval;
      const auto counters = link_->counters();
      if (!counters) {
        co_return Failed{kExitTunnelIo,
                         "the interface " + parameters_.interface + " is gone: was it deleted?"};
      }
      if (keepalive_) keepalive_->observe(counters->packets_in, counters->packets_out, now);
      if (!probe_ && !parameters_.is_mtu_granted && now >= next_probe_) start_probe();
    }
    auto deadline = next_look;
    if (keepalive_) {
      const auto output = keepalive_->tick(now);
      if (output.is_dead)
        co_return Failed{kExitKeepaliveTimeout, "the broker's keepalive address " +
                                                    parameters_.keepalive_address.to_string() +
                                                    " does not answer through the tunnel"};
      if (output.echo) link_->send_echo(*output.echo);
      deadline = std::min(deadline, keepalive_->deadline());
    }
    if (probe_) {
      for (const auto& echo : probe_->tick(now)) link_->send_echo(echo);
      if (probe_->is_done()) {
        finish_probe();
      } else {
        deadline = std::min(deadline, probe_->deadline());
      }
    }
    if (look_at_network_) deadline = std::min(deadline, *look_at_network_);
    if (interface_error_) continue;  // an echo found out
    wake_.expires_at(deadline);
    co_await wake_.async_wait(kAwait);
  }
}

void TunnelHolder::on_network_change() {
  if (!look_at_network_) look_at_network_ = Clock::now() + kSettle;
  wake_.cancel();
}

void TunnelHolder::on_clock_change() {
  // After a suspend the NAT has forgotten us, and nothing else may show it.
  if (keepalive_) keepalive_->probe_soon(Clock::now());
  wake_.cancel();
}

std::optional<Failed> TunnelHolder::check_address() {
  if (keepalive_) keepalive_->probe_soon(Clock::now());
  const auto& local = parameters_.local_outer;
  const auto now = platform::source_towards(parameters_.server_outer);
  const bool is_pinned = (local.is_v4() ? config_.client_v4 : config_.client_v6) != "auto";
  if (is_wireguard(parameters_)) {
    if (!is_way_lost() && now && *now != local) move_wireguard(*now);
    return std::nullopt;
  }
  // Without any way to the broker there is nothing to renegotiate over; the next change tells.
  if (!now || *now == local || (is_pinned && platform::mtu_of_address(local))) return std::nullopt;
  return Failed{kExitSocket,
                "this machine's address towards the broker changed from " + local.to_string() + " to " +
                    now->to_string(),
                true};
}

tunnel::DatapathLink* TunnelHolder::link_over_udp() const {
  return is_over_udp(parameters_) ? dynamic_cast<tunnel::DatapathLink*>(link_.get()) : nullptr;
}

std::optional<asio::ip::udp::socket> TunnelHolder::adopt(int descriptor) {
  if (descriptor < 0) return std::nullopt;
  asio::ip::udp::socket socket(io_);
  boost::system::error_code error;
  socket.assign(local_endpoint_.protocol(), descriptor, error);
  if (!error) return socket;
  ::close(descriptor);
  return std::nullopt;
}

std::optional<asio::ip::udp::socket> TunnelHolder::take_socket() {
  auto* ours = link_over_udp();
  if (!ours) return std::nullopt;
  keepalive_.reset();
  probe_.reset();
  return adopt(ours->release_socket());
}

std::optional<asio::ip::udp::socket> TunnelHolder::lend_socket() {
  auto* ours = link_over_udp();
  if (!ours) return std::nullopt;
  auto socket = adopt(ours->lend_socket());
  if (!socket) ours->take_socket_back();
  return socket;
}

void TunnelHolder::take_socket_back() {
  if (auto* ours = link_over_udp()) ours->take_socket_back();
}

void TunnelHolder::input(std::span<std::uint8_t> packet) {
  if (auto* ours = link_over_udp()) ours->input(packet);
}

asio::awaitable<bool> TunnelHolder::tear_down() {
  keepalive_.reset();
  probe_.reset();
  look_at_network_.reset();
  bool is_down = true;
  if (std::exchange(is_created_, false)) is_down = co_await template_.tear_down();
  last_counters_ = counters();
  link_.reset();
  tun_.clear();
  key_.reset();
  socket_.reset();
  if (raw_socket_ >= 0) ::close(std::exchange(raw_socket_, -1));
  co_return is_down;
}

bool TunnelHolder::needs_nobody() const {
  if (!is_created_) return false;
  return config_.proxy_client || (!config_.keepalive && link_ && link_->datapath() == "kernel");
}

std::string_view TunnelHolder::datapath() const {
  return link_ ? link_->datapath() : "none";
}

datapath::Counters TunnelHolder::counters() {
  if (link_) {
    if (const auto counters = link_->counters()) last_counters_ = *counters;
  }
  return last_counters_;
}

}  // namespace sixlink::client
