// SPDX-License-Identifier: BSD-3-Clause
// Nodes that are hard to reach: NATs, blocked UDP, a local network.
#include <algorithm>

#include "tests/unit/mesh/mesh_network.h"

using namespace sixlink;
using namespace sixlink::test;
using namespace std::chrono_literals;

namespace {

// Two with the NATs given, and two that both can reach: rendezvous, and for each the second opinion on what
// its NAT does.
struct Behind : TestNetwork {
  Behind(Nat first, Nat second) {
    add(1);
    add(2);
    add(11, first);
    add(12, second);
    for (const unsigned i : {1U, 2U, 11U, 12U}) start(i);
    introduce(1, 2);
    for (const unsigned i : {11U, 12U}) {
      introduce(1, i);
      introduce(2, i);
    }
  }
  bool meet() {
    if (!run_until([&] { return is_connected(); }, 10s)) return false;
    return run_until([&] { return node(11).is_linked(12); }, 60s);
  }
};

}  // namespace

TEST_CASE("reach: behind port-restricted NATs, holes are punched") {
  Behind network(Nat::kPortRestricted, Nat::kPortRestricted);
  CHECK(network.meet());
  CHECK(network.node(11).mesh->nat() == mesh::NatKind::kIndependent);
  CHECK(network.node(1).mesh->nat() != mesh::NatKind::kDependent);
  network.run(20s);
  const auto& contact = network.node(12).mesh->own_contact().contact;
  CHECK(contact.nat == mesh::NatKind::kIndependent);
  CHECK(std::ranges::count(contact.endpoints,
                           contact_endpoint(network.node(12).outside, mesh::EndpointKind::kObserved)) == 1);
}

TEST_CASE("reach: behind full cones, and one of each") {
  CHECK(Behind(Nat::kFullCone, Nat::kFullCone).meet());
  CHECK(Behind(Nat::kFullCone, Nat::kPortRestricted).meet());
  CHECK(Behind(Nat::kFullCone, Nat::kSymmetric).meet());
}

TEST_CASE("reach: a symmetric NAT and a port-restricted one cannot, and both stay in the network") {
  Behind network(Nat::kSymmetric, Nat::kPortRestricted);
  CHECK_FALSE(network.meet());
  CHECK(network.is_connected());
  CHECK(network.node(11).mesh->nat() == mesh::NatKind::kDependent);
  // It goes on at longer and longer intervals.
  const auto before = network.outer_datagrams;
  network.run(10min);
  CHECK(network.outer_datagrams - before < 1500);
  CHECK(network.is_connected());
}

TEST_CASE("reach: somebody with a public address is reached from everywhere") {
  for (const auto nat : {Nat::kFullCone, Nat::kPortRestricted, Nat::kSymmetric}) {
    TestNetwork network;
    network.add(1, nat);
    network.add(2);
    network.start(1);
    network.start(2);
    network.introduce(2, 1);
    REQUIRE(network.run_until([&] { return network.is_connected(); }, 5s));
    // The one that nobody reaches is not asked in vain for ever.
    network.run(60s);
    CHECK(network.node(1).links_up() == 1);
  }
}

TEST_CASE("reach: where UDP is blocked the link goes over TCP") {
  TestNetwork network;
  network.add(1, Nat::kUdpBlocked);
  network.add(2);
  network.node(2).endpoints = {contact_endpoint(network.node(2).outside),
                               contact_endpoint({network.node(2).outside.address(), 443},
                                                mesh::EndpointKind::kPublic, mesh::Transport::kTcp)};
  REQUIRE(network.start_pair(10s));
  const auto link = network.node(1).mesh->links()[0];
  CHECK(link.transport == mesh::Transport::kTcp);
  CHECK(link.endpoint.port() == 443);
  CHECK(network.node(2).mesh->links()[0].transport == mesh::Transport::kTcp);
}

TEST_CASE("reach: UDP is preferred where it works, TCP not used where it is not allowed") {
  for (const bool has_tcp : {true, false}) {
    TestNetwork network;
    network.add(1, has_tcp ? Nat::kNone : Nat::kUdpBlocked);
    if (!has_tcp) network.node(1).settings.transports = {mesh::Transport::kUdp};
    network.add(2);
    network.node(2).endpoints = {contact_endpoint({network.node(2).outside.address(), 443},
                                                  mesh::EndpointKind::kPublic, mesh::Transport::kTcp),
                                 contact_endpoint(network.node(2).outside)};
    network.start(1);
    network.start(2);
    network.introduce(2, 1);
    CHECK(network.run_until([&] { return network.is_connected(); }, 10s) == has_tcp);
    if (has_tcp) CHECK(network.node(1).mesh->links()[0].transport == mesh::Transport::kUdp);
  }
}

TEST_CASE("reach: where only WireGuard is dropped, TCP is next") {
  TestNetwork network;
  for (const unsigned i : {1U, 2U}) {
    network.add(i);
    network.node(i).endpoints.push_back(contact_endpoint({network.node(i).outside.address(), 443},
                                                         mesh::EndpointKind::kPublic, mesh::Transport::kTcp));
    network.start(i);
  }
  network.is_wireguard_blocked = true;
  network.introduce(2, 1);
  REQUIRE(network.run_until([&] { return network.is_connected(); }, 40s));
  CHECK(network.node(1).mesh->links()[0].transport == mesh::Transport::kTcp);
}

TEST_CASE("reach: private addresses are only tried behind the same NAT") {
  TestNetwork network;
  network.add(1);
  network.add(2).endpoints = {contact_endpoint(endpoint("192.0.2.77"), mesh::EndpointKind::kLocal)};
  std::size_t sent = 0;
  network.on_action = [&](TestNode&, const mesh::Action& action) {
    const auto* send = std::get_if<mesh::SendDatagram>(&action);
    if (send && send->path.endpoint.address() == endpoint("192.0.2.77").address()) ++sent;
  };
  network.start(1);
  network.start(2);
  network.introduce(2, 1);
  network.run(20s);
  CHECK(sent == 0);
  // Both are seen at the same address.
  const auto shared = contact_endpoint(endpoint("203.0.113.9", 1024), mesh::EndpointKind::kMapped);
  network.node(2).mesh->on_endpoints({shared, network.node(2).endpoints[0]}, network.now());
  network.node(1).mesh->on_endpoints(
      {contact_endpoint(endpoint("203.0.113.9", 1025), mesh::EndpointKind::kMapped)}, network.now());
  network.run(20s);
  network.introduce(2, 1);
  network.run(20s);
  CHECK(sent > 0);
}

TEST_CASE("reach: what is inside of the network is no way to carry it") {
  TestNetwork network;
  network.add(1);
  network.add(2).endpoints = {contact_endpoint({address_of(2), 3653})};
  network.start(1);
  network.start(2);
  REQUIRE(network.node(1).mesh->on_parameters(seal_parameters(parameters_with(3)), network.now()));
  REQUIRE(network.node(2).mesh->on_parameters(seal_parameters(parameters_with(3)), network.now()));
  network.introduce(2, 1);
  network.run(30s);
  CHECK(network.outer_datagrams == 0);
  network.node(2).mesh->on_endpoints(network.node(2).endpoints, network.now());
  network.run(30s);
  CHECK(network.node(2).mesh->own_contact().contact.endpoints.empty());
}

TEST_CASE("reach: a beacon of the local network makes a link, with its link-local address too") {
  TestNetwork network;
  network.add(1).settings.client_count = 1;
  network.add(2).endpoints.clear();
  network.start(1);
  network.start(2);
  network.run(1s);
  const auto contact = network.node(2).mesh->own_contact().der;
  network.node(1).mesh->on_contact(contact, false, network.now());
  network.run(5s);
  CHECK(network.node(1).links_up() == 0);
  bool is_asked = false;
  network.on_action = [&](TestNode&, const mesh::Action& action) {
    const auto* send = std::get_if<mesh::SendDatagram>(&action);
    if (send && send->path.endpoint == network.node(2).outside) is_asked = true;
  };
  network.node(1).mesh->on_contact(contact, true, network.now(), network.node(2).outside);
  CHECK(network.run_until([&] { return network.node(1).is_linked(2); }, 10s));
  CHECK(is_asked);
}

TEST_CASE("reach: two of the same local network are linked there, also when they found each other outside") {
  TestNetwork network;
  for (const unsigned i : {1U, 2U, 3U}) network.add(i, i == 3 ? Nat::kNone : Nat::kFullCone);
  // As with port mappings.
  for (const unsigned i : {1U, 2U}) {
    network.node(i).endpoints.insert(network.node(i).endpoints.begin(),
                                     contact_endpoint(network.node(i).outside, mesh::EndpointKind::kMapped));
    network.node(i).segment = 7;
  }
  for (const unsigned i : {1U, 2U, 3U}) network.start(i);
  network.introduce_all();
  REQUIRE(network.run_until([&] { return network.is_connected() && network.node(1).is_linked(2); }, 10s));
  const auto endpoint_at_1 = [&] {
    for (const auto& link : network.node(1).mesh->links()) {
      if (link.peer == prefix_of(2)) return link.endpoint;
    }
    return Endpoint();
  };
  REQUIRE(endpoint_at_1() == network.node(2).outside);
  std::size_t lost = 0;
  for (int i = 0; i < 10; ++i) {
    for (const unsigned whose : {1U, 2U}) {
      network.node(3 - whose).mesh->on_contact(network.node(whose).mesh->own_contact().der, true,
                                               network.now(), network.node(whose).inside);
    }
    network.run(5s);
    lost += network.is_connected() ? 0 : 1;
  }
  CHECK(endpoint_at_1() == network.node(2).inside);
  CHECK(network.node(1).is_linked(2));
  CHECK(lost == 0);
  CHECK(network.node(1).count(mesh::NodeEvent::kLinkLost) == 0);
  // The uplink is cut: it goes on.
  network.passes = [](unsigned a, unsigned b) { return a != 3 && b != 3; };
  network.run(60s);
  CHECK(network.node(1).is_linked(2));
  CHECK_FALSE(network.node(1).is_linked(3));
}

TEST_CASE("reach: another network below: observations are forgotten, links asked at once") {
  Behind network(Nat::kPortRestricted, Nat::kPortRestricted);
  REQUIRE(network.meet());
  network.run(20s);
  REQUIRE(network.node(11).mesh->nat() == mesh::NatKind::kIndependent);
  std::size_t sent = 0;
  network.on_action = [&](TestNode& node, const mesh::Action& action) {
    const auto* send = std::get_if<mesh::SendDatagram>(&action);
    if (node.number == 11 && send && send->path.way == mesh::Way::kLink) ++sent;
  };
  network.node(11).mesh->on_network_change(network.now());
  network.run(5ms);
  CHECK(sent == 3);
  CHECK(network.node(11).mesh->nat() == mesh::NatKind::kUnknown);
}

TEST_CASE("reach: after a change of the network the links that are left tell where the node is seen") {
  Behind network(Nat::kPortRestricted, Nat::kPortRestricted);
  REQUIRE(network.meet());
  network.run(20s);
  auto& node = network.node(11);
  const auto is_seen_at = [&](const Endpoint& endpoint) {
    return std::ranges::count(node.mesh->own_contact().contact.endpoints,
                              contact_endpoint(endpoint, mesh::EndpointKind::kObserved)) == 1;
  };
  const auto before = node.outside;
  REQUIRE(is_seen_at(before));
  const auto links = node.mesh->links().size();
  // Nothing that goes in links arrives for a moment; then the way out is the same one as before.
  network.passes = [](unsigned, unsigned) { return false; };
  node.mesh->on_network_change(network.now());
  network.run(300ms);
  network.passes = [](unsigned, unsigned) { return true; };
  CHECK(network.run_until([&] { return node.mesh->nat() == mesh::NatKind::kIndependent; }, 5s));
  network.run(15s);
  CHECK(is_seen_at(before));
  // Each was asked once.
  std::size_t sent = 0;
  network.on_action = [&](TestNode& one, const mesh::Action& action) {
    const auto* send = std::get_if<mesh::SendDatagram>(&action);
    if (one.number == 11 && send && send->path.way == mesh::Way::kLink) ++sent;
  };
  network.run(20s);
  CHECK(sent < 20 * links);

  // Another address: WireGuard of its peers says so, and they tell.
  node.outside = endpoint("203.0.113.11", 5000);
  node.mesh->on_network_change(network.now());
  for (const unsigned peer : {1U, 2U, 12U}) {
    auto& other = network.node(peer);
    for (const auto& link : other.mesh->links()) {
      if (link.peer != prefix_of(11)) continue;
      const mesh::Traffic traffic{link.link, 0, 0, 0, node.outside};
      for (int i = 0; i < 3; ++i) other.mesh->on_traffic({&traffic, 1}, network.now());
    }
    for (const auto& link : other.mesh->links()) {
      if (link.peer == prefix_of(11)) CHECK(link.endpoint == node.outside);
    }
  }
  network.run(20s);
  CHECK(is_seen_at(node.outside));
  CHECK_FALSE(is_seen_at(before));
  CHECK(node.mesh->nat() == mesh::NatKind::kIndependent);
  CHECK(node.links_up() == links);
}

TEST_CASE("reach: a peer that moves and has a port of its own there is told no port that is not known") {
  TestNetwork network;
  for (const unsigned i : {1U, 2U}) network.add(i).settings.own_ports = mesh::OwnPorts::kDirectly;
  REQUIRE(network.start_pair(5s));
  network.run(5s);
  auto& node = network.node(2);
  const auto link = network.node(1).mesh->links()[0];
  const auto own_port = node.links.begin()->second.own_port;
  REQUIRE(own_port != 0);
  const auto see = [&](const Endpoint& at) {
    const mesh::Traffic traffic{link.link, 0, 0, 0, at};
    network.node(1).mesh->on_traffic({&traffic, 1}, network.now());
    return network.node(1).mesh->take_actions().size();
  };
  CHECK(see(endpoint("198.51.100.2", own_port)) == 0);
  CHECK(see(endpoint("203.0.113.2", own_port)) == 1);
  CHECK(network.node(1).mesh->links()[0].endpoint == endpoint("203.0.113.2"));
  CHECK(see(endpoint("203.0.113.2", own_port)) == 0);
  CHECK(see(endpoint("203.0.113.3", 1024)) == 0);
  CHECK(see(endpoint("203.0.113.3", 1024)) == 0);
  CHECK(see(Endpoint()) == 0);
  CHECK(network.node(1).links_up() == 1);
}
