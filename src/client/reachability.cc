// SPDX-License-Identifier: BSD-3-Clause
// What the mapping of ports needs of the system: sockets to the gateway, the helper for UPnP, a watch on the
// network.
#include "src/client/reachability.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/multicast.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <utility>

#include "platform/network.h"
#include "platform/platform.h"
#include "src/client/igd_helper.h"
#include "src/net/outer_address.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using Clock = std::chrono::steady_clock;

// Changes come in bursts, and in a mesh routes change all the time.
constexpr std::chrono::milliseconds kSettle{500};
constexpr std::chrono::milliseconds kLeastPause{2000};
// For what no change tells (a gateway of a system that cannot say, privacy addresses).
constexpr std::chrono::seconds kLookAgain{60};
constexpr std::chrono::milliseconds kLeaving{3000};

std::vector<mesh::PortMapping::Wanted> wanted_of(const ReachabilitySettings& settings) {
  std::vector<mesh::PortMapping::Wanted> wanted;
  using mesh::Transport;
  if (settings.protocols.has(Transport::kUdp, true)) wanted.push_back({Transport::kUdp, settings.link_port});
  if (settings.protocols.has(Transport::kTcp, true)) {
    for (const auto port : settings.tcp_ports) wanted.push_back({Transport::kTcp, port});
  }
  return wanted;
}

std::string default_igd_command() {
  const auto directory = platform::program_directory();
  return directory.empty() ? "sixlink" : directory + "/sixlink";
}

}  // namespace

class Reachability::Machine {
 public:
  Machine(asio::io_context& io, ReachabilitySettings settings, spdlog::logger& log, OnEndpoints on_endpoints)
      : settings_(std::move(settings)),
        log_(log),
        on_endpoints_(std::move(on_endpoints)),
        mapping_(wanted_of(settings_), settings_.seed),
        igd_(io, settings_.igd_command.empty() ? default_igd_command() : settings_.igd_command),
        gateway_(io),
        announcements_(io),
        deadline_(io),
        pause_(io),
        end_(io),
        changes_(io) {
    watch();
    look_after(std::chrono::milliseconds(0));
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() {
    *is_alive_ = false;
    if (changes_.is_open()) changes_.release();
  }

  void leave(std::function<void()> done);
  ReachabilityStatus status() const;

 private:
  // Wraps what is called later: it is not when this is gone.
  template <typename Handler>
  auto if_alive(Handler handler) {
    return [alive = is_alive_, handler = std::move(handler)](const auto&... arguments) {
      if (*alive) handler(arguments...);
    };
  }

  void watch();
  void wait_for_change();
  void look_after(std::chrono::milliseconds time);
  void look();
  std::optional<mesh::PortMapping::Network> find_network();
  void open_sockets();
  void receive(udp::socket& socket, bool is_announcement);
  void pump();
  void publish();
  void say_what_is_mapped();
  void finish();

  ReachabilitySettings settings_;
  spdlog::logger& log_;
  OnEndpoints on_endpoints_;
  mesh::PortMapping mapping_;
  IgdRunner igd_;
  std::optional<mesh::PortMapping::Network> network_;
  udp::socket gateway_;        // connected
  udp::socket announcements_;  // of routers that have started
  std::array<std::uint8_t, mesh::kLargestPortMappingMessage> from_gateway_{};
  std::array<std::uint8_t, mesh::kLargestPortMappingMessage> announced_{};
  udp::endpoint announcer_;
  asio::steady_timer deadline_;
  asio::steady_timer pause_;
  asio::steady_timer end_;
  std::optional<platform::ChangeMonitor> monitor_;
  asio::posix::stream_descriptor changes_;
  Clock::time_point looked_{};
  std::optional<std::vector<mesh::ContactEndpoint>> told_;
  std::vector<mesh::PortMapped> said_;
  std::string said_problem_;
  std::function<void()> on_left_;
  bool is_leaving_ = false;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

// ---- The network ----

void Reachability::Machine::watch() {
  auto monitor = platform::ChangeMonitor::open();
  if (!monitor) {
    log_.info("cannot watch the network for changes ({}): looking every {} s", monitor.error().message(),
              kLookAgain.count());
    return;
  }
  monitor_.emplace(std::move(*monitor));
  changes_.assign(monitor_->fd());
  wait_for_change();
}

void Reachability::Machine::wait_for_change() {
  changes_.async_wait(
      asio::posix::stream_descriptor::wait_read, if_alive([this](const boost::system::error_code& error) {
        if (error) return;
        monitor_->drain();
        const auto since = Clock::now() - looked_;
        const auto time = since >= kLeastPause
                              ? kSettle
                              : std::chrono::duration_cast<std::chrono::milliseconds>(kLeastPause - since);
        if (Clock::now() + time < pause_.expiry()) look_after(time);
      }));
}

void Reachability::Machine::look_after(std::chrono::milliseconds time) {
  pause_.expires_after(time);
  pause_.async_wait(if_alive([this](const boost::system::error_code& error) {
    if (error || is_leaving_) return;
    if (monitor_) {
      monitor_->drain();
      changes_.cancel();
      wait_for_change();
    }
    look();
  }));
}

void Reachability::Machine::look() {
  looked_ = Clock::now();
  look_after(kLookAgain);
  const auto network = find_network();
  if (network != network_) {
    network_ = network;
    open_sockets();
    mapping_.set_network(network_, Clock::now());
  }
  pump();
  publish();
}

std::optional<mesh::PortMapping::Network> Reachability::Machine::find_network() {
  if (!settings_.maps_ports) return std::nullopt;
  const auto gateway = platform::default_gateway();
  if (!gateway || !gateway->address.is_v4()) return std::nullopt;
  const auto own = platform::source_towards(gateway->address);
  // With an address of the Internet's there is nothing to be mapped.
  if (!own || !own->is_v4() || !may_be_translated(own->to_v4())) return std::nullopt;
  return mesh::PortMapping::Network{*own, gateway->address};
}

void Reachability::Machine::open_sockets() {
  boost::system::error_code error;
  gateway_.close(error);
  announcements_.close(error);
  if (!network_) return;
  gateway_.open(udp::v4(), error);
  if (!error) gateway_.bind({network_->own, 0}, error);
  if (!error) gateway_.connect({network_->gateway, mesh::kPortMappingPort}, error);
  if (error) {
    log_.warn("cannot ask the router {} to map ports: {}", network_->gateway.to_string(), error.message());
    gateway_.close(error);
    return;
  }
  receive(gateway_, false);
  // Of use, and no more: who shares the port with us may hear them instead.
  const auto group = asio::ip::make_address_v4("224.0.0.1");
  announcements_.open(udp::v4(), error);
  if (!error) announcements_.set_option(udp::socket::reuse_address(true), error);
  if (!error) announcements_.bind(udp::endpoint(group, mesh::kPortMappingAnnouncePort), error);
  if (!error) announcements_.set_option(asio::ip::multicast::join_group(group, network_->own.to_v4()), error);
  if (error) {
    announcements_.close(error);
    return;
  }
  receive(announcements_, true);
}

void Reachability::Machine::receive(udp::socket& socket, bool is_announcement) {
  auto& buffer = is_announcement ? announced_ : from_gateway_;
  const auto on_datagram = if_alive([this, &socket, is_announcement, &buffer](
                                        const boost::system::error_code& error, std::size_t size) {
    if (error == asio::error::operation_aborted || !socket.is_open()) return;
    const bool is_from_gateway = !is_announcement || (network_ && announcer_.address() == network_->gateway);
    if (error == asio::error::connection_refused) {
      mapping_.on_unreachable(Clock::now());
    } else if (!error && is_from_gateway) {
      mapping_.input(std::span(buffer).first(size), is_announcement, Clock::now());
    } else if (error && error != asio::error::message_size) {
      // Not readable any more in any sense: the next look opens another.
      network_.reset();
      return;
    }
    receive(socket, is_announcement);
    pump();
  });
  if (is_announcement) {
    socket.async_receive_from(asio::buffer(buffer), announcer_, on_datagram);
  } else {
    socket.async_receive(asio::buffer(buffer), on_datagram);
  }
}

// ---- The mapping ----

void Reachability::Machine::pump() {
  auto actions = mapping_.take_actions();
  for (const auto& datagram : actions.datagrams) {
    boost::system::error_code error;
    gateway_.send(asio::buffer(datagram), 0, error);
    if (error != asio::error::connection_refused) continue;
    // The answer to an earlier one: all that was to be sent is of no use.
    mapping_.on_unreachable(Clock::now());
    auto more = mapping_.take_actions();
    actions.igd = std::move(more.igd);
    actions.is_changed = actions.is_changed || more.is_changed;
    break;
  }
  if (actions.igd && network_) {
    igd_.start(*actions.igd, *network_, if_alive([this](const mesh::IgdResult& result) {
      mapping_.on_igd(result, Clock::now());
      pump();
    }));
  }
  if (actions.is_changed && !is_leaving_) publish();
  say_what_is_mapped();
  if (is_leaving_ && mapping_.has_left()) return finish();
  const auto deadline = mapping_.deadline();
  if (deadline == deadline_.expiry() && deadline > Clock::now()) return;
  deadline_.expires_at(deadline);
  deadline_.async_wait(if_alive([this](const boost::system::error_code& error) {
    if (error) return;
    deadline_.expires_at(Clock::time_point::max());
    mapping_.tick(Clock::now());
    pump();
  }));
}

void Reachability::Machine::publish() {
  OwnAddresses found{platform::interface_addresses(), {}, mapping_.mapped()};
  if (const auto gateway = platform::default_gateway())
    found.preferred = platform::source_towards(gateway->address).value_or(asio::ip::address());
  auto endpoints = own_endpoints(settings_, found);
  if (told_ == endpoints) return;
  told_ = endpoints;
  for (const auto& one : endpoints) {
    log_.debug("can be reached at {} ({}, {})", net::endpoint_text(one.address, one.port),
               to_string(one.transport), to_string(one.kind));
  }
  on_endpoints_(std::move(endpoints));
}

void Reachability::Machine::say_what_is_mapped() {
  if (is_leaving_) return;
  const auto mapped = mapping_.mapped();
  if (mapped != said_) {
    for (const auto& one : mapped) {
      log_.info("the router {} maps {} port {} to {} ({})", network_ ? network_->gateway.to_string() : "",
                one.transport == mesh::Transport::kUdp ? "UDP" : "TCP", one.internal_port,
                net::endpoint_text(one.external, one.external_port), to_string(mapping_.protocol()));
      if (is_private(one.external)) {
        log_.warn(
            "the router has the private address {} itself: a second NAT stands before it, and its mapping is "
            "of no "
            "use from outside",
            one.external.to_string());
      }
    }
    if (mapped.empty()) log_.info("no port is mapped any more");
    said_ = mapped;
  }
  if (mapping_.problem() == said_problem_) return;
  said_problem_ = mapping_.problem();
  if (!said_problem_.empty())
    log_.info("no port is mapped: {}. Peers will find their own way in, or map UDP port {} by hand",
              said_problem_, settings_.link_port);
}

// ---- The end ----

void Reachability::Machine::leave(std::function<void()> done) {
  on_left_ = std::move(done);
  is_leaving_ = true;
  pause_.cancel();
  end_.expires_after(kLeaving);
  end_.async_wait(if_alive([this](const boost::system::error_code& error) {
    if (!error) finish();
  }));
  mapping_.leave(Clock::now());
  pump();
}

void Reachability::Machine::finish() {
  const auto on_left = std::exchange(on_left_, {});
  end_.cancel();
  deadline_.cancel();
  if (on_left) asio::post(end_.get_executor(), on_left);
}

ReachabilityStatus Reachability::Machine::status() const {
  ReachabilityStatus status;
  status.endpoints = told_.value_or(std::vector<mesh::ContactEndpoint>());
  status.mapped = mapping_.mapped();
  if (!status.mapped.empty()) status.protocol = mapping_.protocol();
  if (network_) status.gateway = network_->gateway.to_string();
  status.problem = mapping_.problem();
  return status;
}

Reachability::Reachability(asio::io_context& io, ReachabilitySettings settings, spdlog::logger& log,
                           OnEndpoints on_endpoints)
    : machine_(std::make_unique<Machine>(io, std::move(settings), log, std::move(on_endpoints))) {}
Reachability::~Reachability() = default;

void Reachability::leave(std::function<void()> done) {
  machine_->leave(std::move(done));
}
ReachabilityStatus Reachability::status() const {
  return machine_->status();
}

}  // namespace sixlink::client
