// SPDX-License-Identifier: BSD-3-Clause
// Ports of links' own, which the kernel's WireGuard interfaces need.
#include <algorithm>

#include "src/mesh/node.h"
#include "tests/unit/mesh/mesh_network.h"

using namespace sixlink;
using namespace sixlink::test;
using mesh::OwnPorts;
using namespace std::chrono_literals;

namespace {

const TestNode::Side& side_of(TestNetwork& network, unsigned number) {
  return network.node(number).links.begin()->second;
}

// Node 1 asks node 2.
void link_two(TestNetwork& network, OwnPorts first, OwnPorts second) {
  network.add(1).settings.own_ports = first;
  network.add(2).settings.own_ports = second;
  network.start(1);
  network.start(2);
  network.introduce(2, 1);
}

}  // namespace

TEST_CASE("node: without being told so no link has a port of its own") {
  TestNetwork network;
  link_two(network, OwnPorts::kNever, OwnPorts::kNever);
  REQUIRE(network.run_until([&] { return network.is_connected(); }, 2s));
  CHECK(side_of(network, 1).own_port == 0);
  CHECK(side_of(network, 2).own_port == 0);
  CHECK(side_of(network, 1).endpoint.port() == network.node(2).outside.port());
}

TEST_CASE("node: each end's own port is told to the other") {
  TestNetwork network;
  link_two(network, OwnPorts::kInTheOpen, OwnPorts::kInTheOpen);
  REQUIRE(network.run_until([&] { return network.is_connected(); }, 2s));
  const auto& one = side_of(network, 1);
  const auto& two = side_of(network, 2);
  CHECK(one.own_port >= 61000);
  CHECK(two.own_port >= 61000);
  CHECK(one.endpoint.port() == two.own_port);
  CHECK(two.endpoint.port() == one.own_port);
  // What it says of the link is what was negotiated.
  CHECK(network.node(1).mesh->links()[0].endpoint == network.node(2).outside);
}

TEST_CASE("node: one end has a port of its own, and the other the shared one") {
  for (const bool is_first : {true, false}) {
    TestNetwork network;
    link_two(network, is_first ? OwnPorts::kInTheOpen : OwnPorts::kNever,
             is_first ? OwnPorts::kNever : OwnPorts::kInTheOpen);
    REQUIRE(network.run_until([&] { return network.is_connected(); }, 2s));
    const auto& one = side_of(network, 1);
    const auto& two = side_of(network, 2);
    CHECK((one.own_port != 0) == is_first);
    CHECK((two.own_port != 0) == !is_first);
    CHECK(one.endpoint.port() == (is_first ? network.node(2).outside.port() : two.own_port));
    CHECK(two.endpoint.port() == (is_first ? one.own_port : network.node(1).outside.port()));
  }
}

TEST_CASE("node: a peer whose mapping alone is known is reached at that port") {
  TestNetwork network;
  auto& mapped = network.add(2, Nat::kFullCone);
  mapped.endpoints = {contact_endpoint(mapped.outside, mesh::EndpointKind::kMapped)};
  mapped.settings.own_ports = OwnPorts::kDirectly;
  network.add(1);
  REQUIRE(network.start_pair(2s));
  CHECK(side_of(network, 2).own_port == 0);
  CHECK(side_of(network, 1).own_port == 0);
}

TEST_CASE("node: where own ports do not come through the link is made over the shared ones, at once") {
  TestNetwork network;
  network.are_own_ports_blocked = true;
  link_two(network, OwnPorts::kInTheOpen, OwnPorts::kInTheOpen);
  network.run(2s);
  CHECK_FALSE(network.is_connected());
  REQUIRE(network.run_until([&] { return network.is_connected(); }, 3s));
  CHECK(side_of(network, 1).own_port == 0);
  CHECK(side_of(network, 2).own_port == 0);
  network.run(60s);
  CHECK(network.node(1).mesh->links().size() == 1);
  CHECK(network.node(1).links_up() == 1);
  CHECK(network.node(2).links_up() == 1);
}

TEST_CASE("node: whose firewall lets only the shared port in offers no other after two tries") {
  TestNetwork network;
  network.are_own_ports_blocked = true;
  network.add(9).settings.own_ports = OwnPorts::kInTheOpen;
  network.node(9).settings.client_count = 0;
  network.start(9);
  for (unsigned i = 1; i <= 4; ++i) {
    network.add(i).settings.client_count = 1;
    network.start(i);
    network.introduce(9, i);
    const bool is_quick = network.run_until([&] { return network.node(i).links_up() > 0; }, 2s);
    CHECK(is_quick == (i > 2));
    REQUIRE(network.run_until([&] { return network.node(i).links_up() > 0; }, 3s));
  }
}

TEST_CASE("node: one that is killed and started anew finds its peer's own port again") {
  TestNetwork network;
  link_two(network, OwnPorts::kInTheOpen, OwnPorts::kInTheOpen);
  REQUIRE(network.run_until([&] { return network.is_connected(); }, 2s));
  network.run(3s);
  const auto port = side_of(network, 2).own_port;
  network.kill(1);
  network.start(1);
  network.introduce(2, 1);
  REQUIRE(network.run_until([&] { return network.node(1).links_up() > 0; }, 2s));
  CHECK(side_of(network, 1).endpoint.port() == port);
  CHECK(side_of(network, 1).own_port != 0);
}
