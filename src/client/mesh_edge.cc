// SPDX-License-Identifier: BSD-3-Clause
// Carries out what MeshNode decides, and tells it what happens.
#include "src/client/mesh_edge.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <unordered_map>

#include "platform/platform.h"
#include "src/client/mesh_status.h"
#include "src/net/outer_address.h"
#include "src/tsp/status.h"

namespace sixlink::client {
namespace {

using Clock = std::chrono::steady_clock;

// The node asks for a probe after 250 ms of silence
// (mesh::MeshNode::on_traffic).
constexpr std::chrono::milliseconds kTrafficInterval{250};
constexpr std::chrono::milliseconds kIdleInterval{1000};
// More than any way around costs: links of a path cost hundreds each.
constexpr std::uint32_t kRaisedCost = 8192;
constexpr std::chrono::seconds kGoodbye{4};

std::string text_of(const mesh::Endpoint& endpoint) {
  return net::endpoint_text(endpoint.address(), endpoint.port());
}

}  // namespace

class MeshEdge::Signer final : public mesh::ContactSigner {
 public:
  explicit Signer(const MeshIdentity& identity) : identity_(identity) {}
  mesh::SignedContact sign(const mesh::Contact& contact) const override {
    return mesh::sign_contact(contact, identity_.certificate, identity_.key);
  }

 private:
  const MeshIdentity& identity_;
};

class MeshEdge::Verifier final : public mesh::ParametersVerifier {
 public:
  explicit Verifier(const MeshIdentity& identity) : anchor(identity.anchor) {}
  mesh::ParsedParameters open(std::span<const std::uint8_t> der, WallTime now) const override {
    return mesh::open_parameters(der, anchor, now);
  }
  pki::TrustAnchor anchor;
};

MeshEdge::MeshEdge(boost::asio::io_context& io, Settings settings, const MeshIdentity& identity,
                   spdlog::logger& log, Events events)
    : io_(io),
      settings_(std::move(settings)),
      identity_(identity),
      log_(log),
      events_(std::move(events)),
      contacts_(identity.anchor),
      signer_(std::make_unique<Signer>(identity)),
      verifier_(std::make_unique<Verifier>(identity)),
      node_(std::make_unique<mesh::MeshNode>(settings_.node, identity.wireguard.public_key(), *signer_,
                                             contacts_, *verifier_, platform::random_number(), times())),
      tick_timer_(io),
      traffic_timer_(io),
      stop_timer_(io) {
  sockets_ = std::make_unique<MeshSockets>(io, settings_.sockets, socket_events());
  links_ = std::make_unique<MeshLinks>(
      io.get_executor(), MeshLinks::Settings{settings_.filter, settings_.offloads, "sixm", settings_.kernel},
      identity.wireguard, log, link_events());
  router_ = std::make_unique<BabelRouter>(io, settings_.router, log, router_events());
}

MeshEdge::~MeshEdge() {
  *life_ = false;
  // Routes go before the interfaces that they lead to.
  router_.reset();
  links_->close_all();
}

std::string MeshEdge::start() {
  auto problem = sockets_->open();
  if (problem.empty()) problem = sockets_->open_overlay();
  if (!problem.empty()) return problem;
  if (settings_.tls) {
    streams_ = std::make_unique<MeshStreams>(
        io_, *settings_.tls, log_,
        [this](std::span<const std::uint8_t> datagram, const mesh::Endpoint& from) {
          if (is_inside(from)) return;
          node_->input(datagram, {mesh::Way::kOuter, from, mesh::Transport::kTcp, 0}, times());
          schedule();
        });
  }
  announce();
  router_->start();
  schedule();
  watch_traffic();
  return {};
}

void MeshEdge::announce() {
  std::vector<mesh::Destination> own{settings_.node.prefix};
  if (settings_.is_gateway) own.emplace_back(net::Prefix{net::AddressV6::any(), 0});
  if (settings_.filter.own_v4) {
    own.emplace_back(*settings_.filter.own_v4);
    if (settings_.is_gateway) own.emplace_back(net::PrefixV4{boost::asio::ip::address_v4::any(), 0});
  }
  router_->announce(own);
}

void MeshEdge::use_v4(const std::optional<InnerV4>& v4, const std::optional<net::PrefixV4>& network) {
  if (is_stopping_) return;
  auto& filter = settings_.filter;
  const auto before = filter;
  filter.network_v4 = v4 ? std::optional(v4->network) : std::nullopt;
  filter.own_v4 = v4 ? std::optional(v4->prefix) : std::nullopt;
  if (before.network_v4 != filter.network_v4 || before.own_v4 != filter.own_v4) {
    if (settings_.kernel) {
      const auto problem = make_kernel_filter(*settings_.kernel, filter);
      if (!problem.empty())
        log_.error("{}; links of the kernel's filter IPv4 as before: start this node again", problem);
    }
    links_->set_v4(filter.network_v4, filter.own_v4);
    announce();
  }
  router_->use_v4(v4, network);
}

void MeshEdge::stop(std::function<void()> done) {
  is_stopping_ = true;
  on_stopped_ = std::move(done);
  node_->leave(times());
  carry_out();
  const auto finish = [this, life = life_] {
    if (*life) finish_stop();
  };
  stop_timer_.expires_after(kGoodbye);
  stop_timer_.async_wait([finish](const boost::system::error_code& error) {
    if (!error) finish();
  });
  router_->stop(finish);
}

void MeshEdge::finish_stop() {
  stop_timer_.cancel();
  tick_timer_.cancel();
  traffic_timer_.cancel();
  links_->close_all();
  if (on_stopped_) std::exchange(on_stopped_, nullptr)();
}

mesh::MeshNode::Times MeshEdge::times() const {
  return {Clock::now(), std::chrono::system_clock::now()};
}

// ---- what the node decided ----

void MeshEdge::schedule() {
  if (std::exchange(is_scheduled_, true)) return;
  boost::asio::post(io_, [this, life = life_] {
    if (!*life) return;
    is_scheduled_ = false;
    carry_out();
  });
}

void MeshEdge::carry_out() {
  auto actions = node_->take_actions();
  // Links first: who is told of one begins its handshake at once.
  for (auto& action : actions) {
    if (std::holds_alternative<mesh::OpenLink>(action)) carry_out(action);
  }
  for (auto& action : actions) {
    if (!std::holds_alternative<mesh::OpenLink>(action)) carry_out(action);
  }
  wait_for_tick();
}

void MeshEdge::carry_out(mesh::Action& action) {
  std::visit([this](auto& one) { perform(one); }, action);
}

void MeshEdge::perform(mesh::SendDatagram& action) {
  const auto& path = action.path;
  switch (path.way) {
    case mesh::Way::kLink:
      links_->send_control(path.link, action.bytes);
      return;
    case mesh::Way::kOverlay:
      // No route there yet, or no more: lost as on any path.
      (void)sockets_->send_overlay(action.bytes, path.endpoint);
      return;
    case mesh::Way::kOuter:
      break;
  }
  if (path.transport == mesh::Transport::kTcp) {
    if (!links_->send_outer(path.endpoint, path.transport, action.bytes) && streams_ &&
        !is_inside(path.endpoint))
      streams_->send(action.bytes, path.endpoint);
    return;
  }
  const auto error = sockets_->send_outer(action.bytes, path.endpoint);
  if (error) log_.trace("cannot send to {}: {}", text_of(path.endpoint), error.message());
}

void MeshEdge::perform(const mesh::OpenLink& action) {
  if (!settings_.protocols.has(action.transport, action.endpoint.address().is_v4())) {
    node_->on_link_failed(action.link, "disable_proto= forbids it", times());
    schedule();
    return;
  }
  events_.on_open(action.link, action.endpoint.address());
  if (action.transport == mesh::Transport::kUdp) {
    if (links_->may_be_kernels(action) && sockets_->is_outer(action.endpoint)) {
      const auto problem = links_->open_in_kernel(action);
      if (problem.empty()) return;
      if (complaints_.allow(Clock::now())) log_.warn("{}; our datapath carries the link", problem);
    }
    open(action, sockets_->connect(action.endpoint, action.own_port));
  } else if (streams_ && !is_inside(action.endpoint)) {
    streams_->take(action.endpoint, [this, life = life_, action](boost::system::result<int> socket) {
      if (*life) open(action, socket);
    });
  } else {
    open(action, boost::system::errc::make_error_code(boost::system::errc::operation_not_supported));
  }
}

// No link leads through another one.
bool MeshEdge::is_inside(const mesh::Endpoint& endpoint) const {
  return endpoint.address().is_v6() && settings_.filter.network.contains(endpoint.address().to_v6());
}

void MeshEdge::open(const mesh::OpenLink& link, boost::system::result<int> socket) {
  const auto problem = socket ? links_->open(link, *socket)
                              : "no socket to " + text_of(link.endpoint) + ": " + socket.error().message();
  if (problem.empty()) return;
  if (complaints_.allow(Clock::now())) log_.warn("no link to {}: {}", link.peer.to_string(), problem);
  node_->on_link_failed(link.link, problem, times());
  schedule();
}

void MeshEdge::perform(const mesh::UseLink& action) {
  const auto interface = links_->interface_of(action.link);
  if (interface.empty()) return;
  used_.push_back(action.link);
  router_->add_link(interface, 0);
  events_.on_link_up();
}

void MeshEdge::perform(const mesh::RaiseCost& action) {
  const auto interface = links_->interface_of(action.link);
  if (!interface.empty() && !links_->leave(action.link)) router_->set_cost(interface, kRaisedCost);
}

void MeshEdge::perform(const mesh::CloseLink& action) {
  const auto interface = links_->interface_of(action.link);
  if (std::erase(used_, action.link) > 0 && !interface.empty()) router_->remove_link(interface);
  links_->close(action.link);
  events_.on_close(action.link);
}

void MeshEdge::perform(const mesh::AskContacts& action) {
  events_.ask_contacts(action.count);
}

void MeshEdge::perform(const mesh::AskContact& action) {
  events_.ask_contact(action.node);
}

void MeshEdge::perform(const mesh::PublishContact& /*action*/) {
  if (!is_stopping_) events_.on_publish(node_->own_contact());
}

void MeshEdge::perform(const mesh::UseParameters& /*action*/) {
  const auto& parameters = node_->parameters();
  believe(parameters);
  router_->set_hello_interval(parameters.hello_interval);
  log_.info(
      "the network's parameters are now version {}: {} links a node, one "
      "of them replaced every {} s, {} "
      "certificates revoked",
      parameters.version, parameters.client_count, parameters.tunnel_refresh.count(),
      parameters.revoked.size());
  events_.on_parameters();
}

// Of the authorities those that have not expired.
void MeshEdge::believe(const mesh::NetworkParameters& parameters) {
  const auto anchor = mesh::anchor_of(identity_.joined_with, parameters, std::chrono::system_clock::now());
  contacts_.set_anchor(anchor);
  contacts_.set_revoked(parameters.revoked);
  verifier_->anchor = anchor;
}

void MeshEdge::perform(const mesh::Report& action) {
  if (!reports_.allow(Clock::now())) return;
  const auto peer = action.peer ? action.peer->to_string() : std::string("somebody");
  const auto detail = tsp::printable(action.detail);
  const auto because = detail.empty() ? std::string() : ": " + detail;
  switch (action.event) {
    case mesh::NodeEvent::kLinkUp:
      log_.info("link to {} is up{}", peer, because);
      break;
    case mesh::NodeEvent::kLinkLost:
      log_.warn("link to {} is lost{}", peer, because);
      break;
    case mesh::NodeEvent::kLinkClosed:
      log_.info("link to {} is closed{}", peer, because);
      break;
    case mesh::NodeEvent::kLinkRefused:
      log_.info("{} takes no link{}", peer, because);
      break;
    case mesh::NodeEvent::kLinkFailed:
      log_.info("no link to {}{}", peer, because);
      break;
    case mesh::NodeEvent::kServedFull:
      log_.info("a link of {} was refused: enough are served", peer);
      break;
    case mesh::NodeEvent::kRevoked:
      log_.warn("the certificate of {} is revoked: its link is cut{}", peer, because);
      break;
    case mesh::NodeEvent::kBadContact:
      log_.info("a contact from {} was not taken{}", peer, because);
      break;
    case mesh::NodeEvent::kBadMessage:
      log_.debug("a message from {} was not taken{}", peer, because);
      break;
    case mesh::NodeEvent::kBadParameters:
      log_.warn("network parameters from {} were not taken{}", peer, because);
      break;
  }
}

void MeshEdge::wait_for_tick() {
  const auto deadline = node_->deadline();
  if (deadline == tick_timer_.expiry()) return;
  if (deadline == mesh::TimePoint::max()) {
    tick_timer_.cancel();
    return;
  }
  tick_timer_.expires_at(deadline);
  tick_timer_.async_wait([this, life = life_](const boost::system::error_code& error) {
    if (error || !*life) return;
    tick_timer_.expires_at(mesh::TimePoint::min());
    node_->tick(times());
    carry_out();
  });
}

// ---- what it is told ----

void MeshEdge::on_datagram(std::span<std::uint8_t> datagram, const mesh::Path& from) {
  if (datagram.empty()) return;
  if (datagram[0] >> 4 == 0xF) {
    if (from.way == mesh::Way::kOuter && events_.on_control(datagram, from.endpoint)) return;
    node_->input(datagram, from, times());
    schedule();
  } else if (from.way == mesh::Way::kOuter) {
    links_->offer(datagram, from.endpoint);
  }
}

MeshSockets::Events MeshEdge::socket_events() {
  return {[this](std::span<std::uint8_t> datagram, const mesh::Endpoint& from) {
            // What comes from inside of the network came over a link: no link
            // leads through another one.
            if (sockets_->is_outer(from))
              on_datagram(datagram, {mesh::Way::kOuter, from, mesh::Transport::kUdp, 0});
          },
          [this](std::span<std::uint8_t> datagram, const mesh::Endpoint& from) {
            if (is_inside(from)) on_datagram(datagram, {mesh::Way::kOverlay, from, mesh::Transport::kUdp, 0});
          }};
}

MeshLinks::Events MeshEdge::link_events() {
  return {
      [this](mesh::LinkId link) {
        node_->on_handshake(link, times());
        schedule();
      },
      [this](mesh::LinkId link, const std::string& why) {
        node_->on_link_failed(link, why, times());
        schedule();
      },
      [this](mesh::LinkId link, std::span<const std::uint8_t> message) {
        node_->input(message, {mesh::Way::kLink, {}, mesh::Transport::kUdp, link}, times());
        schedule();
      },
      [this](std::span<const std::uint8_t> message, const mesh::Endpoint& from, mesh::Transport transport) {
        node_->input(message, {mesh::Way::kOuter, from, transport, 0}, times());
        schedule();
      },
      [this](const mesh::Endpoint& to, std::uint16_t port) {
        const auto socket = sockets_->connect(to, port);
        return socket ? *socket : -1;
      },
      events_.record,
      events_.remove};
}

mesh::RouterEvents MeshEdge::router_events() {
  mesh::RouterEvents events;
  events.on_routes = [this](const std::vector<mesh::Route>& routes) { on_routes(routes); };
  events.on_foreign = [this](const mesh::ForeignAnnouncement& foreign) { on_foreign(foreign); };
  events.on_down = [this](const std::string& why) { problem_ = "babeld does not run: " + why; };
  events.on_up = [this] { problem_.clear(); };
  return events;
}

void MeshEdge::on_routes(const std::vector<mesh::Route>& routes) {
  std::unordered_map<std::string, mesh::LinkId> link_of;
  for (const auto& link : links_->status()) link_of.emplace(link.interface, link.link);
  std::vector<mesh::Reached> reached;
  reached.reserve(routes.size());
  bool has_default = settings_.is_gateway;
  for (const auto& route : routes) {
    const auto* const prefix = std::get_if<net::Prefix>(&route.destination);
    const int length = prefix ? prefix->length : std::get<net::PrefixV4>(route.destination).length;
    if (length == 0) has_default = true;
    if (!prefix || !settings_.filter.network.contains(*prefix) || *prefix == settings_.node.prefix) continue;
    const auto link = link_of.find(route.interface);
    reached.push_back({*prefix, link == link_of.end() ? 0 : link->second});
  }
  links_->set_takes_foreign(has_default);
  node_->on_routes(reached, times());
  schedule();
}

// The router logs it.
void MeshEdge::on_foreign(const mesh::ForeignAnnouncement& foreign) {
  ++foreign_;
  if (!foreign.is_own) return;
  problem_ = "the router " + foreign.origin + " announces this node's own prefix " +
             mesh::to_string(foreign.destination) +
             ": two nodes have one certificate, or somebody lies; its certificate should be revoked";
}

void MeshEdge::watch_traffic() {
  traffic_timer_.expires_after(links_->size() > 0 ? kTrafficInterval : kIdleInterval);
  traffic_timer_.async_wait([this, life = life_](const boost::system::error_code& error) {
    if (error || !*life) return;
    const auto traffic = links_->traffic();
    if (!traffic.empty()) {
      node_->on_traffic(traffic, times());
      carry_out();
    }
    watch_traffic();
  });
}

void MeshEdge::on_contact(std::span<const std::uint8_t> der) {
  node_->on_contact(der, false, times());
  schedule();
}

void MeshEdge::on_local_contact(std::span<const std::uint8_t> der, const mesh::Endpoint& endpoint) {
  node_->on_contact(der, true, times(), endpoint);
  schedule();
}

void MeshEdge::on_endpoints(std::vector<mesh::ContactEndpoint> endpoints) {
  node_->on_endpoints(std::move(endpoints), times());
  schedule();
}

void MeshEdge::on_servers(std::vector<mesh::Endpoint> servers) {
  node_->on_servers(std::move(servers), times());
  schedule();
}

void MeshEdge::on_observed(const boost::asio::ip::address& observer, const mesh::Endpoint& seen) {
  node_->on_observed(observer, seen, times());
  schedule();
}

boost::system::error_code MeshEdge::send_outer(std::span<const std::uint8_t> datagram,
                                               const mesh::Endpoint& to) {
  return sockets_->send_outer(datagram, to);
}

bool MeshEdge::on_parameters(std::span<const std::uint8_t> der) {
  const bool is_taken = node_->on_parameters(der, times());
  schedule();
  return is_taken;
}

void MeshEdge::on_network_change() {
  const auto count = links_->reconnect();
  if (count > 0)
    log_.info("the network has changed: {} links have another address of this machine now", count);
  node_->on_network_change(times());
  schedule();
}

void MeshEdge::on_clock_change() {
  believe(node_->parameters());
  node_->on_network_change(times());
  schedule();
}

void MeshEdge::renewed() {
  node_->on_identity(times());
  schedule();
}

std::optional<TlsCounters> MeshEdge::tls() const {
  return streams_ ? std::optional(streams_->counters()) : std::nullopt;
}

std::vector<std::uint16_t> MeshEdge::tls_ports() const {
  return streams_ ? streams_->listening_ports() : std::vector<std::uint16_t>();
}

std::size_t MeshEdge::links_up() const {
  return used_.size();
}

}  // namespace sixlink::client
