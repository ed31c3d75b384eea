// SPDX-License-Identifier: BSD-3-Clause
// A watch on the network, and which routers it has.
#include "src/client/reachability.h"

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <iterator>
#include <optional>
#include <utility>

#include "platform/network.h"
#include "platform/platform.h"
#include "platform/route_table.h"
#include "src/net/outer_address.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

// Changes come in bursts, and in a mesh routes change all the time.
constexpr std::chrono::milliseconds kSettle{500};
constexpr std::chrono::milliseconds kLeastPause{2000};
// For what no change tells (a gateway of a system that cannot say, privacy addresses).
constexpr std::chrono::seconds kLookAgain{60};
constexpr std::chrono::milliseconds kLeaving{3000};
constexpr std::uint64_t kOtherSeed = 0x9e3779b97f4a7c15;

// What the system is asked for the way to the Internet with: any global address would do (RFC 4291 section
// 2.5.4). Nothing is sent there.
constexpr const char* kInternet = "2000::";

std::vector<mesh::PortMapping::Wanted> wanted_of(const ReachabilitySettings& settings, bool is_v4) {
  std::vector<mesh::PortMapping::Wanted> wanted;
  using mesh::Transport;
  if (settings.protocols.has(Transport::kUdp, is_v4)) wanted.push_back({Transport::kUdp, settings.link_port});
  if (settings.protocols.has(Transport::kTcp, is_v4)) {
    for (const auto port : settings.tcp_ports) wanted.push_back({Transport::kTcp, port});
  }
  return wanted;
}

std::string default_igd_command() {
  const auto directory = platform::program_directory();
  return directory.empty() ? "sixlink" : directory + "/sixlink";
}

std::optional<mesh::PortMapping::Network> find_network_v4() {
  const auto gateway = platform::default_gateway();
  if (!gateway || !gateway->address.is_v4()) return std::nullopt;
  const auto own = platform::source_towards(gateway->address);
  // With an address of the Internet's there is nothing to be mapped.
  if (!own || !own->is_v4() || !may_be_translated(own->to_v4())) return std::nullopt;
  return mesh::PortMapping::Network{*own, gateway->address};
}

std::optional<mesh::PortMapping::Network> find_network_v6(const ReachabilitySettings& settings) {
  const auto internet = asio::ip::make_address_v6(kInternet);
  const auto gateway = platform::gateway_towards(internet);
  // A default route of the mesh's leads to no router of ours.
  const auto& ours = settings.ignored_interfaces;
  if (!gateway || (!ours.empty() && gateway->interface.starts_with(ours))) return std::nullopt;
  const auto source = platform::source_towards(internet);
  std::optional<mesh::PortMapping::Network> found;
  for (const auto& one : platform::interface_addresses()) {
    if (!one.address.is_v6() || !is_public(settings, one)) continue;
    if (source && one.address == *source) return mesh::PortMapping::Network{one.address, gateway->address};
    // The system may send from one of the mesh's, which no router outside knows.
    if (!found && one.interface == gateway->interface)
      found = mesh::PortMapping::Network{one.address, gateway->address};
  }
  return found;
}

}  // namespace

class Reachability::Machine {
 public:
  Machine(asio::io_context& io, ReachabilitySettings settings, spdlog::logger& log, OnEndpoints on_endpoints)
      : settings_(std::move(settings)),
        log_(log),
        on_endpoints_(std::move(on_endpoints)),
        ipv4_(io, wanted_of(settings_, true), settings_.seed, igd_command(), log, [this] { on_change(); }),
        // Another seed, as a nonce tells the mapping's owner from others.
        ipv6_(io, wanted_of(settings_, false), settings_.seed ^ kOtherSeed, igd_command(), log,
              [this] { on_change(); }),
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
  void on_change();
  void publish();
  void finish();
  std::string igd_command() const {
    return settings_.igd_command.empty() ? default_igd_command() : settings_.igd_command;
  }

  ReachabilitySettings settings_;
  spdlog::logger& log_;
  OnEndpoints on_endpoints_;
  PortMapper ipv4_;
  PortMapper ipv6_;
  asio::steady_timer pause_;
  asio::steady_timer end_;
  std::optional<platform::ChangeMonitor> monitor_;
  asio::posix::stream_descriptor changes_;
  Clock::time_point looked_{};
  std::optional<std::vector<mesh::ContactEndpoint>> told_;
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
  if (settings_.maps_ports) {
    ipv4_.set_network(find_network_v4());
    ipv6_.set_network(find_network_v6(settings_));
  }
  publish();
}

// ---- What is told ----

void Reachability::Machine::on_change() {
  if (!is_leaving_) return publish();
  if (ipv4_.has_left() && ipv6_.has_left()) finish();
}

void Reachability::Machine::publish() {
  OwnAddresses found{platform::interface_addresses(), {}, ipv4_.mapped()};
  std::ranges::copy(ipv6_.mapped(), std::back_inserter(found.mapped));
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

// ---- The end ----

void Reachability::Machine::leave(std::function<void()> done) {
  on_left_ = std::move(done);
  is_leaving_ = true;
  pause_.cancel();
  end_.expires_after(kLeaving);
  end_.async_wait(if_alive([this](const boost::system::error_code& error) {
    if (!error) finish();
  }));
  ipv4_.leave();
  ipv6_.leave();
}

void Reachability::Machine::finish() {
  const auto on_left = std::exchange(on_left_, {});
  end_.cancel();
  if (on_left) asio::post(end_.get_executor(), on_left);
}

ReachabilityStatus Reachability::Machine::status() const {
  ReachabilityStatus status;
  status.endpoints = told_.value_or(std::vector<mesh::ContactEndpoint>());
  status.ipv4 = ipv4_.status();
  status.ipv6 = ipv6_.status();
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
