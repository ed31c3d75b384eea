// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/mesh/mesh_network.h"

#include <algorithm>
#include <queue>
#include <tuple>
#include <utility>

#include "src/mesh/control_message.h"
#include "src/mesh/seeded_random.h"

namespace sixlink::test {
namespace {

std::uint64_t checksum(const std::string& serial, const std::string& prefix, const std::string& text) {
  const auto all = serial + " " + prefix + " " + text;
  return mesh::siphash({1, 2}, {reinterpret_cast<const std::uint8_t*>(all.data()), all.size()});
}

struct Opened {
  std::string serial;
  std::string prefix;
  std::string text;
};
std::optional<Opened> open_sealed(std::span<const std::uint8_t> bytes) {
  const std::string all(bytes.begin(), bytes.end());
  const auto line = all.substr(0, all.find('\n'));
  const auto first = line.find(' ');
  const auto second = line.find(' ', first + 1);
  if (first == std::string::npos || second == std::string::npos || line.size() == all.size())
    return std::nullopt;
  Opened opened{line.substr(0, first), line.substr(first + 1, second - first - 1),
                all.substr(line.size() + 1)};
  if (mesh::hex64(checksum(opened.serial, opened.prefix, opened.text)) != line.substr(second + 1))
    return std::nullopt;
  return opened;
}

}  // namespace

std::vector<std::uint8_t> seal(const std::string& serial, const net::Prefix& certified,
                               const std::string& text) {
  const auto all = serial + " " + certified.to_string() + " " +
                   mesh::hex64(checksum(serial, certified.to_string(), text)) + "\n" + text;
  return {all.begin(), all.end()};
}

mesh::OpenedContact TestContacts::open(std::span<const std::uint8_t> der, mesh::WallTime now) const {
  ++verified;
  const auto opened = open_sealed(der);
  if (!opened) return {{}, "the contact is damaged"};
  const auto parsed = mesh::parse_contact(opened->text);
  if (!parsed.contact) return {{}, parsed.problem};
  if (parsed.contact->prefix.to_string() != opened->prefix) return {{}, "the contact is another's"};
  if (parsed.contact->expires <= now) return {{}, "the contact has expired"};
  if (expired.contains(opened->serial)) return {{}, "its certificate has expired"};
  mesh::SignedContact contact{{der.begin(), der.end()}, *parsed.contact, opened->serial};
  if (const auto found = valid.find(opened->serial); found != valid.end())
    std::tie(contact.good_from, contact.good_until) = found->second;
  if (now < contact.good_from) return {{}, "its certificate is not valid yet"};
  if (now >= contact.good_until) return {{}, "its certificate has expired"};
  return {std::make_shared<const mesh::SignedContact>(std::move(contact)), {}};
}

mesh::ParsedParameters TestParameters::open(std::span<const std::uint8_t> der, mesh::WallTime) const {
  const auto opened = open_sealed(der);
  if (!opened || opened->serial != "ca") return {{}, "the network's parameters are damaged"};
  return mesh::parse_parameters(opened->text);
}

std::vector<std::uint8_t> seal_parameters(const mesh::NetworkParameters& parameters) {
  return seal("ca", kMesh, to_xml(parameters));
}

mesh::NetworkParameters parameters_with(std::uint64_t version, std::set<unsigned> revoked) {
  mesh::NetworkParameters parameters;
  parameters.version = version;
  parameters.network = kMesh;
  for (const auto number : revoked) parameters.revoked.insert(serial_of(number));
  return parameters;
}

std::size_t TestNode::links_up() const {
  if (!mesh) return 0;
  const auto all = mesh->links();
  return static_cast<std::size_t>(std::ranges::count_if(all, [](const mesh::LinkStatus& one) {
    return one.state == mesh::LinkState::kUp || one.state == mesh::LinkState::kSuspect;
  }));
}

bool TestNode::is_linked(unsigned peer) const {
  if (!mesh) return false;
  return std::ranges::any_of(mesh->links(), [&](const mesh::LinkStatus& one) {
    return one.peer == prefix_of(peer) &&
           (one.state == mesh::LinkState::kUp || one.state == mesh::LinkState::kSuspect);
  });
}

std::size_t TestNode::count(mesh::NodeEvent event) const {
  return static_cast<std::size_t>(
      std::ranges::count(reports, event, [](const mesh::Report& one) { return one.event; }));
}

TestNetwork::TestNetwork() = default;
TestNetwork::~TestNetwork() = default;

TestNode& TestNetwork::add(unsigned number, Nat nat) {
  auto made = std::make_unique<TestNode>();
  auto& node = *made;
  nodes_[number] = std::move(made);
  node.number = number;
  node.nat = nat;
  REQUIRE(number < 250);
  const bool is_hidden = nat != Nat::kNone && nat != Nat::kUdpBlocked;
  node.outside = endpoint(("198.51.100." + std::to_string(number)).c_str());
  node.inside = is_hidden ? endpoint(("192.0.2." + std::to_string(number)).c_str()) : node.outside;
  if (is_hidden) node.outside.port(40000);
  node.settings.prefix = prefix_of(number);
  node.settings.software = "test";
  node.endpoints = {
      contact_endpoint(node.inside, is_hidden ? mesh::EndpointKind::kLocal : mesh::EndpointKind::kPublic)};
  if (nat == Nat::kUdpBlocked)
    node.endpoints = {contact_endpoint(node.inside, mesh::EndpointKind::kPublic, mesh::Transport::kTcp)};
  node.signer = std::make_unique<TestSigner>(node.settings.prefix, serial_of(number));
  node.contacts = std::make_unique<TestContacts>();
  return node;
}

void TestNetwork::start(unsigned number) {
  auto& node = this->node(number);
  ++node.life;
  node.links.clear();
  node.mesh = std::make_unique<MeshNode>(node.settings, key_of(number), *node.signer, *node.contacts,
                                         parameters_, number * 1000003ULL + node.life, now());
  node.mesh->on_endpoints(node.endpoints, now());
  act(node);
}

void TestNetwork::kill(unsigned number) {
  auto& node = this->node(number);
  node.mesh.reset();
  node.links.clear();
  routes_changed();
}

void TestNetwork::introduce(unsigned whom, unsigned to) {
  const auto contact = node(whom).mesh->own_contact().der;
  act(node(whom));
  node(to).mesh->on_contact(contact, false, now());
  act(node(to));
}

void TestNetwork::introduce_all() {
  for (const auto& [a, first] : nodes_) {
    for (const auto& [b, second] : nodes_) {
      if (a != b && first->mesh && second->mesh) introduce(a, b);
    }
  }
}

void TestNetwork::after(std::chrono::nanoseconds wait, std::function<void()> what) {
  events_.emplace(now_ + wait, std::move(what));
}

void TestNetwork::run(std::chrono::nanoseconds duration) {
  run_until([] { return false; }, duration);
}

bool TestNetwork::run_until(const std::function<bool()>& condition, std::chrono::nanoseconds most) {
  const auto end = now_ + most;
  for (;;) {
    if (condition()) return true;
    auto next = events_.empty() ? end : std::min(end, events_.begin()->first);
    for (const auto& [number, node] : nodes_) {
      if (node->mesh) next = std::min(next, node->mesh->deadline());
    }
    if (next >= end) {
      now_ = end;
      return condition();
    }
    now_ = std::max(now_, next);
    while (!events_.empty() && events_.begin()->first <= now_) {
      const auto what = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      what();
    }
    for (const auto& [number, node] : nodes_) {
      if (!node->mesh || node->mesh->deadline() > now_) continue;
      node->mesh->tick(now());
      if (node->mesh) CHECK_MESSAGE(node->mesh->deadline() >= now_, "the clock stands still");
      act(*node);
    }
  }
}

void TestNetwork::act(TestNode& node) {
  while (node.mesh) {
    const auto actions = node.mesh->take_actions();
    if (actions.empty()) return;
    for (const auto& action : actions) {
      on_action(node, action);
      perform(node, action);
    }
  }
}

void TestNetwork::perform(TestNode& node, const mesh::Action& action) {
  if (const auto* send = std::get_if<mesh::SendDatagram>(&action)) {
    REQUIRE(send->bytes.size() <= 1232);
    if (send->path.way == mesh::Way::kOuter) send_outer(node, send->path, send->bytes);
    if (send->path.way == mesh::Way::kLink) send_in_link(node, send->path.link, send->bytes);
    if (send->path.way == mesh::Way::kOverlay) send_over(node, send->path.endpoint, send->bytes);
  } else if (const auto* open = std::get_if<mesh::OpenLink>(&action)) {
    unsigned peer = 0;
    for (const auto& [number, other] : nodes_) {
      if (prefix_of(number) == open->peer) peer = number;
    }
    CHECK_MESSAGE(std::ranges::none_of(node.links,
                                       [&](const auto& one) { return peer != 0 && one.second.peer == peer; }),
                  "two links with one peer");
    node.links[open->link] = {peer, open->endpoint, open->transport, open->is_initiator, 0,
                              0,    false,          false,           open->own_port};
    if (open->is_initiator)
      after(2 * delay, [this, number = node.number, life = node.life, link = open->link] {
        handshake(number, life, link);
      });
  } else if (const auto* use = std::get_if<mesh::UseLink>(&action)) {
    CHECK_FALSE(node.links.at(use->link).is_used);
    node.links.at(use->link).is_used = true;
    routes_changed();
  } else if (const auto* raise = std::get_if<mesh::RaiseCost>(&action)) {
    node.links.at(raise->link).is_raised = true;
  } else if (const auto* close = std::get_if<mesh::CloseLink>(&action)) {
    CHECK(node.links.erase(close->link) == 1);
    routes_changed();
  } else if (std::holds_alternative<mesh::AskContacts>(action)) {
    ++node.asked_contacts;
  } else if (const auto* ask = std::get_if<mesh::AskContact>(&action)) {
    node.asked_for.insert(ask->node);
  } else if (std::holds_alternative<mesh::PublishContact>(action)) {
    ++node.published;
  } else if (const auto* report = std::get_if<mesh::Report>(&action)) {
    node.reports.push_back(*report);
  }
}

TestNode* TestNetwork::at(const Endpoint& endpoint, mesh::Transport transport, const Endpoint& from) {
  for (const auto& [number, node] : nodes_) {
    const bool is_own_port = std::ranges::any_of(
        node->links, [&](const auto& one) { return one.second.own_port == endpoint.port(); });
    const bool has_port = endpoint.port() == node->outside.port() || (is_own_port && !are_own_ports_blocked);
    if (!node->mesh || endpoint.address() != node->outside.address()) continue;
    if (transport == mesh::Transport::kTcp)
      return node->nat == Nat::kNone || node->sent_to.contains(from) ? node.get() : nullptr;
    switch (node->nat) {
      case Nat::kNone:
      case Nat::kFullCone:
        return has_port ? node.get() : nullptr;
      case Nat::kPortRestricted:
        return has_port && node->sent_to.contains(from) ? node.get() : nullptr;
      case Nat::kSymmetric: {
        const auto mapping = node->mappings.find(from);
        return mapping != node->mappings.end() && mapping->second == endpoint.port() ? node.get() : nullptr;
      }
      case Nat::kUdpBlocked:
        return nullptr;
    }
  }
  return nullptr;
}

TestNode* TestNetwork::near(const TestNode& node, const Endpoint& endpoint) {
  if (node.segment == 0) return nullptr;
  for (const auto& [number, other] : nodes_) {
    if (other->mesh && other->segment == node.segment && other->inside == endpoint) return other.get();
  }
  return nullptr;
}

void TestNetwork::send_outer(TestNode& node, const mesh::Path& to, std::vector<std::uint8_t> bytes) {
  ++outer_datagrams;
  const bool is_tcp = to.transport == mesh::Transport::kTcp;
  if (node.nat == Nat::kUdpBlocked && !is_tcp) return;
  if (const auto* other = near(node, to.endpoint)) {
    after(milliseconds(1), [this, from = node.inside, number = other->number, bytes = std::move(bytes)] {
      if (this->node(number).mesh) inject(from, number, bytes);
    });
    return;
  }
  auto from = node.outside;
  if (node.nat == Nat::kSymmetric && !is_tcp) {
    const auto fresh = static_cast<std::uint16_t>(41000 + node.mappings.size());
    from.port(node.mappings.emplace(to.endpoint, fresh).first->second);
  }
  if (is_tcp) {
    // Over the connection that the other made, or over one that is made now.
    const auto stream = streams_.find(to.endpoint);
    if (stream != streams_.end()) {
      from = stream->second;
    } else {
      streams_[from] = to.endpoint;
    }
  }
  node.sent_to.insert(to.endpoint);
  after(delay, [this, from, to, sender = node.number, bytes = std::move(bytes)] {
    auto* other = at(to.endpoint, to.transport, from);
    if (!other || !passes(sender, other->number)) return;
    other->mesh->input(bytes, {mesh::Way::kOuter, from, to.transport, 0}, now());
    act(*other);
  });
}

void TestNetwork::inject(const Endpoint& from, unsigned to, std::vector<std::uint8_t> bytes) {
  node(to).mesh->input(bytes, {mesh::Way::kOuter, from, mesh::Transport::kUdp, 0}, now());
  act(node(to));
}

void TestNetwork::send_in_link(TestNode& node, LinkId link, std::vector<std::uint8_t> bytes) {
  const auto found = node.links.find(link);
  REQUIRE_MESSAGE(found != node.links.end(), "a datagram for a link that is not there");
  const auto side = found->second;
  if (side.other == 0) return;
  after(delay, [this, sender = node.number, side, bytes = std::move(bytes)] {
    auto& other = this->node(side.peer);
    if (!other.mesh || other.life != side.other_life || !passes(sender, side.peer)) return;
    if (!other.links.contains(side.other)) return;
    other.mesh->input(bytes, {mesh::Way::kLink, {}, mesh::Transport::kUdp, side.other}, now());
    act(other);
  });
}

void TestNetwork::handshake(unsigned number, unsigned life, LinkId link) {
  auto& node = this->node(number);
  if (!node.mesh || node.life != life || !node.links.contains(link)) return;
  auto& side = node.links.at(link);
  auto from = node.outside;
  if (node.nat == Nat::kSymmetric && node.mappings.contains(side.endpoint))
    from.port(node.mappings.at(side.endpoint));
  auto* other = near(node, side.endpoint);
  if (!other) other = at(side.endpoint, side.transport, from);
  const bool is_dropped = is_wireguard_blocked && side.transport == mesh::Transport::kUdp;
  const bool is_there = !is_dropped && other && other->number == side.peer && passes(number, side.peer) &&
                        passes(side.peer, number);
  // A socket that is a link's alone gets nothing that is another's, and the shared one nothing of that.
  const auto shared = other ? other->outside.port() : std::uint16_t{0};
  const auto theirs =
      is_there
          ? std::ranges::find_if(other->links,
                                 [&](const auto& one) {
                                   const auto port = one.second.own_port != 0 ? one.second.own_port : shared;
                                   return one.second.peer == number &&
                                          (side.transport == mesh::Transport::kTcp ||
                                           other->nat != Nat::kNone || port == side.endpoint.port());
                                 })
          : node.links.end();
  if (!is_there || theirs == other->links.end()) {
    after(seconds(5), [this, number, life, link] { handshake(number, life, link); });
    return;
  }
  side.other = theirs->first;
  side.other_life = other->life;
  theirs->second.other = link;
  theirs->second.other_life = node.life;
  const auto their_link = theirs->first;
  node.mesh->on_handshake(link, now());
  other->mesh->on_handshake(their_link, now());
  act(node);
  act(*other);
}

void TestNetwork::routes_changed() {
  if (are_routes_due_) return;
  are_routes_due_ = true;
  after(milliseconds(100), [this] { tell_routes(); });
}

void TestNetwork::tell_routes() {
  are_routes_due_ = false;
  for (const auto& [number, node] : nodes_) {
    if (!node->mesh) continue;
    std::map<unsigned, LinkId> through{{number, 0}};
    std::queue<unsigned> queue;
    queue.push(number);
    while (!queue.empty()) {
      const auto at = queue.front();
      queue.pop();
      for (const auto& [id, side] : nodes_.at(at)->links) {
        const auto& peer = *nodes_.at(side.peer);
        const auto theirs = peer.links.find(side.other);
        if (!side.is_used || !peer.mesh || theirs == peer.links.end() || !theirs->second.is_used) continue;
        if (!through.emplace(side.peer, at == number ? id : through.at(at)).second) continue;
        queue.push(side.peer);
      }
    }
    std::vector<mesh::Reached> reached;
    for (const auto& [other, link] : through) {
      if (other != number) reached.push_back({prefix_of(other), link});
    }
    node->mesh->on_routes(reached, now());
    act(*node);
  }
}

void TestNetwork::send_over(TestNode& node, const Endpoint& to, std::vector<std::uint8_t> bytes) {
  CHECK(to.port() == 3653);
  std::set<unsigned> seen{node.number};
  std::queue<unsigned> queue;
  queue.push(node.number);
  while (!queue.empty()) {
    const auto at = queue.front();
    queue.pop();
    for (const auto& [id, side] : nodes_.at(at)->links) {
      if (!nodes_.at(side.peer)->mesh || side.other == 0 || !seen.insert(side.peer).second) continue;
      queue.push(side.peer);
    }
  }
  for (const auto number : seen) {
    if (number == node.number || address_of(number) != to.address()) continue;
    after(3 * delay, [this, sender = node.number, number, bytes = std::move(bytes)] {
      auto& other = this->node(number);
      if (!other.mesh) return;
      other.mesh->input(bytes, {mesh::Way::kOverlay, {address_of(sender), 3653}, mesh::Transport::kUdp, 0},
                        now());
      act(other);
    });
    return;
  }
}

bool TestNetwork::is_connected() const {
  std::size_t running = 0;
  for (const auto& [number, node] : nodes_) running += node->mesh ? 1 : 0;
  return std::ranges::all_of(nodes_, [&](const auto& one) {
    return !one.second->mesh || one.second->mesh->known_destinations() + 1 == running;
  });
}

bool TestNetwork::start_pair(std::chrono::nanoseconds most) {
  start(1);
  start(2);
  introduce(2, 1);
  return run_until([this] { return is_connected(); }, most);
}

bool TestNetwork::start_all(std::chrono::nanoseconds most) {
  for (const auto& one : nodes_) start(one.first);
  introduce_all();
  return run_until([this] { return is_connected(); }, most);
}

}  // namespace sixlink::test
