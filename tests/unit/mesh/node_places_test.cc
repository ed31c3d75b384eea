// SPDX-License-Identifier: BSD-3-Clause
// Whom a node serves when there are more than it may serve.
#include <algorithm>

#include "src/mesh/node.h"
#include "tests/unit/mesh/mesh_network.h"

using namespace sixlink;
using namespace sixlink::test;
using namespace std::chrono_literals;

namespace {

// Of others' links; the rest is its own.
std::size_t served_by(const TestNetwork& network, unsigned number) {
  auto& changeable = const_cast<TestNetwork&>(network);
  std::size_t served = 0;
  for (const auto& link : changeable.node(number).mesh->links()) {
    if (!link.is_ours && link.link != 0) ++served;
  }
  return served;
}

// Node 1, which serves eight; the others all want a link with it and can reach nobody else.
struct Crowd {
  TestNetwork network;

  explicit Crowd(unsigned others) {
    auto& server = network.add(1);
    server.settings.most_served = 8;
    server.settings.client_count = 1;
    server.endpoints = {contact_endpoint(server.outside),
                        contact_endpoint(server.outside, mesh::EndpointKind::kPublic, mesh::Transport::kTcp)};
    network.passes = [](unsigned a, unsigned b) { return a == 1 || b == 1; };
    for (unsigned i = 2; i < 2 + others; ++i) network.add(i);
    network.start(1);
    for (unsigned i = 2; i < 2 + others; ++i) {
      network.start(i);
      network.introduce(1, i);
    }
  }
};

}  // namespace

TEST_CASE("places: some are kept for those who have no other choice") {
  Crowd crowd(6);
  auto& network = crowd.network;
  network.run(30s);
  REQUIRE(served_by(network, 1) == 6);
  // Somebody who has another link does not get one of the last two, and somebody without UDP does.
  network.passes = [](unsigned a, unsigned b) { return a == 1 || b == 1 || std::min(a, b) >= 40; };
  for (const unsigned number : {40U, 41U, 42U}) {
    network.add(number, number == 42 ? Nat::kUdpBlocked : Nat::kNone);
    network.start(number);
  }
  network.introduce(41, 40);
  REQUIRE(network.run_until([&] { return network.node(40).is_linked(41); }, 10s));
  network.introduce(1, 40);
  network.run(20s);
  // Unless node 1, which has learnt of it now, chooses it itself.
  CHECK(served_by(network, 1) == 6);
  network.introduce(1, 42);
  CHECK(network.run_until([&] { return network.node(42).is_linked(1); }, 20s));
}

TEST_CASE("places: one is made for somebody who has no link at all") {
  Crowd crowd(6);
  auto& network = crowd.network;
  network.run(30s);
  REQUIRE(served_by(network, 1) == 6);
  network.add(40);
  network.start(40);
  network.introduce(1, 40);
  CHECK(network.run_until([&] { return network.node(40).is_linked(1); }, 10s));
  network.run(20s);
  CHECK(network.node(40).is_linked(1));
  CHECK(served_by(network, 1) == 6);
}

TEST_CASE("places: choosing each other at once makes no more of them") {
  // Few nodes, each of which wants links with half of the others: most choose each other.
  TestNetwork network;
  constexpr unsigned kNodes = 12;
  for (unsigned i = 1; i <= kNodes; ++i) {
    network.add(i).settings.client_count = 6;
    network.node(i).settings.most_served = 3;
  }
  for (unsigned i = 1; i <= kNodes; ++i) network.start(i);
  network.introduce_all();
  for (int step = 0; step < 600; ++step) {
    network.run(100ms);
    for (unsigned i = 1; i <= kNodes; ++i) REQUIRE(served_by(network, i) <= 3);
  }
  CHECK(network.is_connected());
}

TEST_CASE("places: who wants no links of its own begins none, also when others are refreshed") {
  TestNetwork network;
  auto& quiet = network.add(1);
  quiet.settings.client_count = 0;
  quiet.settings.tunnel_refresh = 60s;
  for (unsigned i = 2; i <= 6; ++i) network.add(i).settings.client_count = 1;
  // The others know only the next one, so that node 1 is everybody's neighbour of nobody's but node 2's.
  network.start(1);
  for (unsigned i = 2; i <= 6; ++i) {
    network.start(i);
    network.introduce(i - 1, i);
  }
  REQUIRE(network.run_until([&] { return network.is_connected(); }, 30s));
  const auto own = [&] {
    return std::ranges::count_if(quiet.mesh->links(),
                                 [](const mesh::LinkStatus& one) { return one.is_ours; });
  };
  // It knows the others by routes, and there are refreshes.
  REQUIRE(quiet.mesh->known_destinations() == 5);
  std::ptrdiff_t most = 0;
  for (int i = 0; i < 600; ++i) {
    network.run(1s);
    most = std::max(most, own());
  }
  CHECK(most == 0);
}

TEST_CASE("places: who has as many links as it wants replaces one at each refresh") {
  TestNetwork network;
  for (unsigned i = 1; i <= 12; ++i) {
    auto& node = network.add(i);
    node.settings.client_count = 2;
    node.settings.tunnel_refresh = 60s;
  }
  REQUIRE(network.start_all(30s));
  std::set<LinkId> seen;
  for (int i = 0; i < 600; ++i) {
    network.run(1s);
    for (const auto& one : network.node(1).mesh->links()) {
      if (one.is_ours && one.link != 0) seen.insert(one.link);
    }
  }
  CHECK(seen.size() >= 6);
}
