// SPDX-License-Identifier: BSD-3-Clause
// Time, lives, and what nodes are told. Links and packets: world_links.cc.
#include "tests/sim/world.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace sixlink::sim {
namespace {

// A Sunday in March 2026: certificates and contacts have dates.
constexpr std::chrono::seconds kCalendar{1'772'323'200};
// The steady clock has run for a while.
constexpr std::chrono::hours kUptime{1};
constexpr std::chrono::milliseconds kRegistryThinks{5};
constexpr int kMostIdleTicks = 100;
constexpr std::size_t kMostBroken = 50;
constexpr std::uint64_t kOneContact = 1ULL << 63;  // in an event of the registry's: a node's, not some

template <typename... T>
struct Cases : T... {
  using T::operator()...;
};
template <typename... T>
Cases(T...) -> Cases<T...>;

}  // namespace

World::World(const WorldSettings& settings)
    : settings_(settings),
      authority_(scramble(settings.seed + 10)),
      verifier_(authority_),
      underlay_(
          {.machines = settings.nodes, .mix = settings.mix, .loss = settings.loss, .seed = settings.seed}),
      router_(settings.router, underlay_, settings.nodes, settings.seed + 11),
      registry_(settings.nodes, settings.seed + 12),
      random_(scramble(settings.seed + 13)),
      now_(TimePoint(kUptime)),
      wall_start_(mesh::WallTime(kCalendar) - kUptime),
      hosts_(settings.nodes),
      alive_(settings.nodes, false),
      reports_(static_cast<std::size_t>(mesh::NodeEvent::kBadParameters) + 1) {
  parameters_.version = 1;
  parameters_.network = network_prefix();
  parameters_.client_count = settings.client_count;
  parameters_.tunnel_refresh = settings.tunnel_refresh;
  parameters_document_ = seal_parameters(authority_, parameters_);
  schedule(now_ + settings_.router.interval, Event::Kind::kConverge, 0);
}

World::~World() = default;

// ---- time ----

void World::schedule(TimePoint at, Event::Kind kind, std::uint32_t host, std::uint64_t what) {
  events_.push({at, order_++, host, hosts_[host].life, kind, what});
}

void World::run_for(std::chrono::nanoseconds time) {
  const auto end = now_ + time;
  while (!events_.empty() && events_.top().at <= end) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.at;
    ++totals_.events;
    handle(event);
  }
  now_ = end;
}

std::optional<std::chrono::nanoseconds> World::run_until(const std::function<bool()>& done,
                                                         std::chrono::nanoseconds step,
                                                         std::chrono::nanoseconds limit) {
  const auto begin = now_;
  while (!done()) {
    if (now_ - begin >= limit) return std::nullopt;
    run_for(step);
  }
  return now_ - begin;
}

void World::handle(const Event& event) {
  const auto number = event.host;
  // These are of no life.
  if (event.kind == Event::Kind::kConverge) {
    router_.converge(now_, alive_);
    schedule(now_ + settings_.router.interval, Event::Kind::kConverge, 0);
    return;
  }
  if (event.kind == Event::Kind::kPacket) {
    auto packet = take(event.what);
    if (alive_[number]) on_packet(number, std::move(packet));
    return;
  }
  if (event.kind == Event::Kind::kStart) {
    if (!alive_[number]) on_started(number);
    return;
  }
  auto& host = hosts_[number];
  if (!alive_[number] || event.life != host.life) return;
  switch (event.kind) {
    case Event::Kind::kTick:
      if (event.at == host.tick_at) on_tick(number);
      break;
    case Event::Kind::kTraffic:
      on_traffic(number);
      break;
    case Event::Kind::kRoutes:
      on_routes(number);
      break;
    case Event::Kind::kRetryHandshake:
      on_retry(number, event.what);
      break;
    default:
      on_registry_answer(number, event.what);
      break;
  }
}

void World::on_tick(std::uint32_t number) {
  auto& host = hosts_[number];
  host.tick_at = TimePoint::max();
  if (host.node->deadline() <= now_) {
    host.node->tick(times());
    host.idle_ticks = host.node->deadline() <= now_ ? host.idle_ticks + 1 : 0;
    if (host.idle_ticks > kMostIdleTicks) break_rule(number, "ticks do not move its deadline");
  }
  settle(number);
}

void World::on_traffic(std::uint32_t number) {
  auto& host = hosts_[number];
  traffic_.clear();
  for (auto& tunnel : host.tunnels) {
    count_hellos(number, tunnel, host.counted_from);
    traffic_.push_back({tunnel.link, tunnel.received, tunnel.sent, tunnel.bytes});
  }
  host.counted_from = now_;
  if (host.is_to_publish && registry_.is_up()) {
    host.is_to_publish = false;
    registry_.publish(number, host.node->own_contact().der);
  }
  host.node->on_traffic(traffic_, times());
  schedule(now_ + settings_.traffic_interval, Event::Kind::kTraffic, number);
  settle(number);
}

void World::on_routes(std::uint32_t number) {
  schedule(now_ + settings_.router.interval, Event::Kind::kRoutes, number);
  if (!router_.tell(number, now_, reached_)) return;
  hosts_[number].node->on_routes(reached_, times());
  settle(number);
}

void World::on_registry_answer(std::uint32_t number, std::uint64_t what) {
  if (!registry_.is_up() || underlay_.is_cut(number, static_cast<std::uint32_t>(size()))) return;
  auto& node = *hosts_[number].node;
  if ((what & kOneContact) != 0) {
    const auto& der = registry_.of(static_cast<std::uint32_t>(what));
    if (!der.empty()) node.on_contact(der, false, times());
  } else {
    for (const auto& der : registry_.some(static_cast<unsigned>(what), now_))
      node.on_contact(der, false, times());
  }
  settle(number);
}

// ---- lives ----

void World::start(std::uint32_t number) {
  if (!alive_[number]) on_started(number);
}

void World::start_all(std::chrono::nanoseconds spread) {
  std::uniform_int_distribution<std::int64_t> moment(0, spread.count());
  for (std::uint32_t number = 0; number < size(); ++number)
    schedule(now_ + std::chrono::nanoseconds(moment(random_)), Event::Kind::kStart, number);
}

void World::on_started(std::uint32_t number) {
  auto& host = hosts_[number];
  ++host.life;
  alive_[number] = true;
  host.started = host.counted_from = now_;
  host.tick_at = TimePoint::max();
  host.idle_ticks = 0;
  host.is_to_publish = false;
  router_.reset(number, now_);
  host.signer = std::make_unique<Signer>(authority_, number);
  host.contacts = std::make_unique<Contacts>(authority_, size());
  mesh::NodeSettings own;
  own.prefix = prefix_of(number);
  own.most_known = settings_.most_known;
  own.software = "sixlink";
  host.node = std::make_unique<mesh::MeshNode>(own, key_of(number), *host.signer, *host.contacts, verifier_,
                                               random_(), times());
  // What joining gave it, or what it had when it was last there.
  if (host.parameters.empty()) host.parameters = parameters_document_;
  if (!host.node->on_parameters(host.parameters, times())) break_rule(number, "refuses good parameters");
  take_parameters(number);
  host.node->on_endpoints(own_endpoints(number), times());
  for (const auto& der : std::exchange(host.cache, {})) host.node->on_contact(der, false, times());
  const auto phase = [&](std::chrono::nanoseconds interval) {
    return now_ + std::chrono::nanoseconds(
                      static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(interval.count())));
  };
  schedule(phase(settings_.traffic_interval), Event::Kind::kTraffic, number);
  schedule(phase(settings_.router.interval), Event::Kind::kRoutes, number);
  settle(number);
}

void World::kill(std::uint32_t number) {
  if (!alive_[number]) return;
  auto& host = hosts_[number];
  alive_[number] = false;
  host.cache = host.node->contacts_to_cache();
  if (host.cache.size() > settings_.most_known) break_rule(number, "has more to cache than it may know");
  host.node.reset();
  host.tunnels.clear();
  registry_.fell_silent(number, now_);
}

void World::leave(std::uint32_t number) {
  if (!alive_[number]) return;
  auto& host = hosts_[number];
  host.node->leave(times());
  settle(number);
  if (!host.tunnels.empty()) break_rule(number, "has links after it left");
  kill(number);
  registry_.withdraw(number);
}

void World::cut(std::vector<std::uint8_t> sides) {
  if (!sides.empty()) sides.push_back(0);
  underlay_.cut(std::move(sides));
}

void World::revoke(std::uint32_t number, const std::vector<std::uint32_t>& told) {
  ++parameters_.version;
  parameters_.revoked.insert(serial_of(number));
  parameters_document_ = seal_parameters(authority_, parameters_);
  registry_.withdraw(number);
  for (const auto one : told) {
    if (!alive_[one]) continue;
    if (!hosts_[one].node->on_parameters(parameters_document_, times()))
      break_rule(one, "refuses newer parameters");
    settle(one);
  }
}

std::size_t World::count_alive() const {
  return static_cast<std::size_t>(std::ranges::count(alive_, true));
}

void World::break_rule(std::uint32_t number, const std::string& what) {
  if (broken_.size() >= kMostBroken || !broken_kinds_.insert(what).second) return;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now_ - TimePoint(kUptime)).count();
  broken_.push_back("node " + std::to_string(number) + " after " + std::to_string(seconds) + " s: " + what);
}

// ---- what nodes want ----

void World::settle(std::uint32_t number) {
  auto& host = hosts_[number];
  for (auto& action : host.node->take_actions()) act(number, action);
  const auto deadline = std::max(host.node->deadline(), now_);
  if (deadline >= host.tick_at || deadline == TimePoint::max()) return;
  host.tick_at = host.idle_ticks > kMostIdleTicks ? now_ + std::chrono::milliseconds(10) : deadline;
  schedule(host.tick_at, Event::Kind::kTick, number);
}

void World::act(std::uint32_t number, mesh::Action& action) {
  const auto ask_registry = [&](std::uint64_t what) {
    const auto there = static_cast<std::uint32_t>(size());
    if (!registry_.is_up() || underlay_.is_cut(number, there)) return;
    schedule(now_ + 2 * underlay_.one_way(number, there) + kRegistryThinks, Event::Kind::kRegistryAnswer,
             number, what);
  };
  std::visit(Cases{
                 [&](mesh::SendDatagram& one) { do_send(number, one); },
                 [&](const mesh::OpenLink& one) { do_open(number, one); },
                 [&](const mesh::UseLink& one) { do_use(number, one.link); },
                 [&](const mesh::RaiseCost& one) { router_.raise_cost(number, one.link); },
                 [&](const mesh::CloseLink& one) { do_close(number, one.link); },
                 [&](const mesh::AskContacts& one) { ask_registry(one.count); },
                 [&](const mesh::AskContact& one) {
                   if (const auto other = number_of(one.node, size())) ask_registry(kOneContact | *other);
                 },
                 [&](const mesh::PublishContact&) { hosts_[number].is_to_publish = true; },
                 [&](const mesh::UseParameters&) { take_parameters(number); },
                 [&](const mesh::Report& one) {
                   ++reports_[static_cast<std::size_t>(one.event)];
                   if (one.event == mesh::NodeEvent::kLinkLost) ++totals_.links_lost;
                 },
             },
             action);
}

void World::take_parameters(std::uint32_t number) {
  auto& host = hosts_[number];
  host.contacts->set_revoked(host.node->parameters().revoked);
  if (!host.node->parameters_document().empty()) host.parameters = host.node->parameters_document();
}

std::vector<mesh::ContactEndpoint> World::own_endpoints(std::uint32_t number) const {
  const auto endpoint = [](const Address& address, mesh::Transport transport, mesh::EndpointKind kind) {
    return mesh::ContactEndpoint{boost::asio::ip::address_v4(address.ip), address.port, transport, kind};
  };
  if (underlay_.access(number) == Access::kPublic) {
    const auto own = underlay_.outside(number);
    return {endpoint(own, mesh::Transport::kUdp, mesh::EndpointKind::kPublic),
            endpoint(own, mesh::Transport::kTcp, mesh::EndpointKind::kPublic)};
  }
  return {endpoint(underlay_.inside(number), mesh::Transport::kUdp, mesh::EndpointKind::kLocal)};
}

// ---- the network as it is ----

Graph World::graph() const {
  Graph graph;
  for (std::uint32_t number = 0; number < size(); ++number) {
    each_peer(number, [&](const Tunnel& tunnel) {
      graph.add(
          {tunnel.peer, Router::cost_of(underlay_.delays().round_trip(number, tunnel.peer)), tunnel.link});
    });
    graph.end_node();
  }
  return graph;
}

}  // namespace sixlink::sim
