// SPDX-License-Identifier: BSD-3-Clause
// RFC 6887 sections 8 and 14, RFC 6886 section 3: how their datagrams travel.
#include "src/client/port_mapper.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/multicast.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <span>
#include <utility>

#include "src/client/igd_helper.h"
#include "src/client/own_endpoints.h"
#include "src/net/outer_address.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using Clock = std::chrono::steady_clock;
using Network = mesh::PortMapping::Network;

const char* transport_text(mesh::Transport transport) {
  return transport == mesh::Transport::kUdp ? "UDP" : "TCP";
}

}  // namespace

class PortMapper::Machine {
 public:
  Machine(asio::io_context& io, const std::vector<mesh::PortMapping::Wanted>& wanted, std::uint64_t seed,
          std::string igd_command, spdlog::logger& log, std::function<void()> on_change)
      : log_(log),
        on_change_(std::move(on_change)),
        mapping_(wanted, seed),
        igd_(io, std::move(igd_command)),
        gateway_(io),
        announcements_(io),
        deadline_(io) {}
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() { *is_alive_ = false; }

  void set_network(const std::optional<Network>& network);
  void leave();
  bool has_left() const { return mapping_.has_left(); }
  std::vector<mesh::PortMapped> mapped() const { return mapping_.mapped(); }
  PortMappingStatus status() const;

 private:
  // Wraps what is called later: it is not when this is gone.
  template <typename Handler>
  auto if_alive(Handler handler) {
    return [alive = is_alive_, handler = std::move(handler)](const auto&... arguments) {
      if (*alive) handler(arguments...);
    };
  }

  boost::system::error_code open_sockets(const Network& network);
  void close_sockets();
  void open_announcements(const Network& network);
  void receive(udp::socket& socket, bool is_announcement);
  void pump();
  void say_what_is_mapped();
  void say_problem();

  spdlog::logger& log_;
  std::function<void()> on_change_;
  mesh::PortMapping mapping_;
  IgdRunner igd_;
  std::optional<Network> network_;  // that the sockets are open for
  udp::socket gateway_;             // connected
  udp::socket announcements_;       // of routers that have started
  std::array<std::uint8_t, mesh::kLargestPortMappingMessage> from_gateway_{};
  std::array<std::uint8_t, mesh::kLargestPortMappingMessage> announced_{};
  udp::endpoint announcer_;
  asio::steady_timer deadline_;
  std::vector<mesh::PortMapped> said_;
  std::string socket_problem_;
  std::string said_problem_;
  bool is_leaving_ = false;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

// ---- Sockets ----

void PortMapper::Machine::set_network(const std::optional<Network>& network) {
  if (is_leaving_) return;
  if (network != network_) {
    close_sockets();
    network_ = network;
    socket_problem_.clear();
    if (const auto error = network ? open_sockets(*network) : boost::system::error_code()) {
      // The address may still be probed for, or just have gone: the next look tries again.
      socket_problem_ = "cannot send from " + network->own.to_string() + " to the router " +
                        network->gateway.to_string() + ": " + error.message();
      close_sockets();
      network_.reset();
    }
    mapping_.set_network(network_, Clock::now());
  }
  pump();
}

void PortMapper::Machine::close_sockets() {
  boost::system::error_code ignored;
  gateway_.close(ignored);
  announcements_.close(ignored);
}

// From the address that the request names as the client's: a router refuses any other (RFC 6887 section 8.2),
// and towards a link-local one the system would choose a link-local one by itself (RFC 6724 rule 2).
boost::system::error_code PortMapper::Machine::open_sockets(const Network& network) {
  boost::system::error_code error;
  gateway_.open(network.own.is_v4() ? udp::v4() : udp::v6(), error);
  if (!error) gateway_.bind({network.own, 0}, error);
  if (!error) gateway_.connect({network.gateway, mesh::kPortMappingPort}, error);
  if (error) return error;
  receive(gateway_, false);
  open_announcements(network);
  return {};
}

// Of use, and no more: who shares the port with us may hear them instead.
void PortMapper::Machine::open_announcements(const Network& network) {
  const bool is_v4 = network.own.is_v4();
  asio::ip::address group = asio::ip::make_address_v4("224.0.0.1");
  if (!is_v4) {
    // A router that is known by another address than its link-local one could not be recognized.
    if (!network.gateway.to_v6().is_link_local()) return;
    auto all_nodes = asio::ip::make_address_v6("ff02::1");
    all_nodes.scope_id(network.gateway.to_v6().scope_id());
    group = all_nodes;
  }
  boost::system::error_code error;
  announcements_.open(is_v4 ? udp::v4() : udp::v6(), error);
  if (!error) announcements_.set_option(udp::socket::reuse_address(true), error);
  if (!error) announcements_.bind(udp::endpoint(group, mesh::kPortMappingAnnouncePort), error);
  if (!error && is_v4) {
    announcements_.set_option(asio::ip::multicast::join_group(group.to_v4(), network.own.to_v4()), error);
  } else if (!error) {
    announcements_.set_option(asio::ip::multicast::join_group(group.to_v6(), group.to_v6().scope_id()),
                              error);
  }
  if (error) {
    boost::system::error_code ignored;
    announcements_.close(ignored);
    return;
  }
  receive(announcements_, true);
}

void PortMapper::Machine::receive(udp::socket& socket, bool is_announcement) {
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

void PortMapper::Machine::pump() {
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
  if (!is_leaving_) {
    say_what_is_mapped();
    say_problem();
  }
  const auto deadline = mapping_.deadline();
  if (deadline != deadline_.expiry() || deadline <= Clock::now()) {
    deadline_.expires_at(deadline);
    deadline_.async_wait(if_alive([this](const boost::system::error_code& error) {
      if (error) return;
      deadline_.expires_at(Clock::time_point::max());
      mapping_.tick(Clock::now());
      pump();
    }));
  }
  // The last: whoever is told may ask and tell us more.
  if (is_leaving_ ? has_left() : actions.is_changed) on_change_();
}

void PortMapper::Machine::say_what_is_mapped() {
  const auto mapped = mapping_.mapped();
  if (mapped == said_) return;
  for (const auto& one : mapped) {
    if (std::ranges::find(said_, one) != said_.end()) continue;
    const auto router = network_ ? network_->gateway.to_string() : "";
    const auto external = net::endpoint_text(one.external, one.external_port);
    if (network_ && one.external == network_->own && one.external_port == one.internal_port) {
      log_.info("the router {} lets {} in to {} ({})", router, transport_text(one.transport), external,
                to_string(mapping_.protocol()));
      continue;
    }
    log_.info("the router {} maps {} port {} to {} ({})", router, transport_text(one.transport),
              one.internal_port, external, to_string(mapping_.protocol()));
    if (is_private(one.external)) {
      log_.warn(
          "the router has the private address {} itself: a second NAT stands before it, and its mapping is "
          "of no use from outside",
          one.external.to_string());
    }
  }
  if (mapped.empty())
    log_.info("the router {} no port any more", said_.front().external.is_v4() ? "maps" : "opens");
  said_ = mapped;
}

void PortMapper::Machine::say_problem() {
  const auto& problem = socket_problem_.empty() ? mapping_.problem() : socket_problem_;
  if (problem == said_problem_) return;
  said_problem_ = problem;
  if (problem.empty()) return;
  if (network_ && network_->own.is_v4()) {
    log_.info("no port is mapped: {}. Peers will find their own way in, or map the port by hand", problem);
  } else if (problem == mesh::PortMapping::kNoPcp) {
    // Most need not: they have no firewall, or one that is opened by hand.
    log_.debug("{}: its firewall, if there is one, is not opened", problem);
  } else {
    log_.info("no port is opened in the router's firewall: {}", problem);
  }
}

// ---- The end ----

void PortMapper::Machine::leave() {
  is_leaving_ = true;
  mapping_.leave(Clock::now());
  pump();
}

PortMappingStatus PortMapper::Machine::status() const {
  PortMappingStatus status;
  status.mapped = mapping_.mapped();
  if (!status.mapped.empty()) status.protocol = mapping_.protocol();
  if (network_) status.gateway = network_->gateway.to_string();
  status.problem = socket_problem_.empty() ? mapping_.problem() : socket_problem_;
  return status;
}

PortMapper::PortMapper(asio::io_context& io, const std::vector<mesh::PortMapping::Wanted>& wanted,
                       std::uint64_t seed, std::string igd_command, spdlog::logger& log,
                       std::function<void()> on_change)
    : machine_(
          std::make_unique<Machine>(io, wanted, seed, std::move(igd_command), log, std::move(on_change))) {}
PortMapper::~PortMapper() = default;

void PortMapper::set_network(const std::optional<mesh::PortMapping::Network>& network) {
  machine_->set_network(network);
}
void PortMapper::leave() {
  machine_->leave();
}
bool PortMapper::has_left() const {
  return machine_->has_left();
}
std::vector<mesh::PortMapped> PortMapper::mapped() const {
  return machine_->mapped();
}
PortMappingStatus PortMapper::status() const {
  return machine_->status();
}

}  // namespace sixlink::client
