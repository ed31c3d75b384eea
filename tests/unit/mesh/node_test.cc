// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/node.h"

#include <algorithm>

#include "tests/unit/mesh/mesh_network.h"

using namespace sixlink;
using namespace sixlink::test;
using mesh::NodeEvent;
using namespace std::chrono_literals;

namespace {

// Nodes 1 and 2, with traffic of the first's.
struct Talking : TestNetwork {
  Talking() {
    for (unsigned i = 1; i <= 2; ++i) add(i);
    REQUIRE(start_pair(5s));
    run(3s);
    traffic = {node(1).mesh->links()[0].link, 100, 100, 1000};
    tell();
  }
  void tell() { node(1).mesh->on_traffic({&traffic, 1}, now()); }
  mesh::Traffic traffic{};
};

}  // namespace

TEST_CASE("node: alone it asks the registry, again and again, and keeps quiet otherwise") {
  TestNetwork network;
  auto& node = network.add(1);
  network.start(1);
  network.run(1s);
  CHECK(node.asked_contacts == 1);
  CHECK(node.published == 1);
  network.run(10min);
  CHECK(node.asked_contacts > 5);
  CHECK(node.asked_contacts < 30);
  CHECK(network.outer_datagrams == 0);
}

TEST_CASE("node: two that know nothing of each other make no link; one contact is enough") {
  TestNetwork network;
  network.add(1);
  network.add(2);
  network.start(1);
  network.start(2);
  network.run(5s);
  CHECK(network.node(1).links_up() == 0);
  network.introduce(2, 1);
  REQUIRE(network.run_until([&] { return network.is_connected(); }, 2s));
  CHECK(network.node(1).is_linked(2));
  CHECK(network.node(2).is_linked(1));
  CHECK(network.node(1).mesh->links()[0].is_ours);
  CHECK_FALSE(network.node(2).mesh->links()[0].is_ours);
  CHECK(network.node(1).count(NodeEvent::kLinkUp) == 1);
  // Each knows the other's contact now, and the round trip.
  CHECK(network.node(2).mesh->known_contacts() == 1);
  network.run(10s);
  CHECK(network.node(1).mesh->links()[0].rtt == 20ms);
  CHECK(network.node(2).mesh->links()[0].rtt == 20ms);
  CHECK(network.node(1).mesh->links()[0].loss == 0);
}

TEST_CASE("node: both choose each other at once, and there is one link, of the lower prefix") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    TestNetwork network;
    network.delay = milliseconds(seed * 15);
    network.add(seed);
    network.add(seed + 1);
    network.start(seed);
    network.start(seed + 1);
    network.introduce_all();
    REQUIRE(network.run_until([&] { return network.is_connected(); }, 5s));
    network.run(30s);
    CHECK(network.node(seed).mesh->links().size() == 1);
    CHECK(network.node(seed + 1).mesh->links().size() == 1);
    CHECK(network.node(seed).count(NodeEvent::kLinkUp) == 1);
    CHECK(network.node(seed).links_up() == 1);
    CHECK(network.node(seed).mesh->links()[0].is_ours != network.node(seed + 1).mesh->links()[0].is_ours);
  }
}

TEST_CASE("node: fifty that start at the same instant are one network in seconds, within their bounds") {
  TestNetwork network;
  for (unsigned i = 1; i <= 50; ++i) network.add(i).settings.client_count = 5;
  for (unsigned i = 1; i <= 50; ++i) network.start(i);
  // Only the first is known, as right after the first join.
  for (unsigned i = 2; i <= 50; ++i) network.introduce(1, i);
  REQUIRE(network.run_until([&] { return network.is_connected(); }, 30s));
  network.run(60s);
  std::size_t links = 0;
  for (unsigned i = 1; i <= 50; ++i) {
    const auto all = network.node(i).mesh->links();
    const auto ours =
        static_cast<std::size_t>(std::ranges::count_if(all, [](const auto& one) { return one.is_ours; }));
    CHECK(ours <= 7);
    CHECK(all.size() - ours <= 10);
    links += network.node(i).links_up();
  }
  CHECK(links >= 50 * 9);
  CHECK(network.is_connected());
}

TEST_CASE("node: a neighbour that dies is noticed and replaced") {
  TestNetwork network;
  for (unsigned i = 1; i <= 8; ++i) network.add(i).settings.client_count = 2;
  REQUIRE(network.start_all(10s));
  network.run(20s);
  network.kill(3);
  // Without traffic after some seconds: a question every 5 s or so, then three tries.
  network.run(9s);
  for (unsigned i = 1; i <= 8; ++i) {
    if (i == 3) continue;
    CHECK_FALSE(network.node(i).is_linked(3));
    CHECK(network.node(i).links_up() >= 2);
  }
  CHECK(network.is_connected());
}

TEST_CASE("node: with traffic a dead neighbour is noticed within a second") {
  Talking network;
  network.kill(2);
  const auto killed = network.now().now;
  bool is_lost = false;
  while (!is_lost && network.now().now - killed < 3s) {
    network.run(250ms);
    if (network.node(1).mesh->links().empty() || network.node(1).links_up() == 0) break;
    network.traffic.sent += 10;
    network.tell();
    is_lost = network.node(1).count(NodeEvent::kLinkLost) != 0;
  }
  CHECK(network.node(1).count(NodeEvent::kLinkLost) == 1);
  CHECK(network.now().now - killed <= 1250ms);
}

TEST_CASE("node: who only answered notices a dead neighbour as soon as who asks") {
  Talking network;
  network.run(250ms);
  // Of the last questions, and the answers to them.
  network.traffic.received += 10;
  network.traffic.sent += 10;
  network.tell();
  network.kill(2);
  const auto killed = network.now().now;
  while (network.node(1).count(NodeEvent::kLinkLost) == 0 && network.now().now - killed < 3s) {
    network.run(250ms);
    network.tell();
  }
  CHECK(network.node(1).count(NodeEvent::kLinkLost) == 1);
  CHECK(network.now().now - killed <= 1250ms);
}

TEST_CASE("node: who finds a neighbour dead has the others ask it") {
  for (const bool is_alive : {false, true}) {
    CAPTURE(is_alive);
    TestNetwork network;
    for (unsigned i = 1; i <= 6; ++i) network.add(i);
    REQUIRE(network.start_all(20s));
    network.run(60s);
    for (unsigned i = 1; i <= 5; ++i) REQUIRE(network.node(i).is_linked(6));
    // Nothing but the first one's packets is lost where it lives.
    network.passes = [](unsigned from, unsigned to) {
      return std::min(from, to) != 1 || std::max(from, to) != 6;
    };
    if (!is_alive) network.kill(6);
    const auto killed = network.now().now;
    mesh::Traffic traffic{};
    for (const auto& link : network.node(1).mesh->links()) {
      if (link.peer == prefix_of(6)) traffic.link = link.link;
    }
    while (network.node(1).is_linked(6) && network.now().now - killed < 3s) {
      traffic.sent += 10;
      network.node(1).mesh->on_traffic({&traffic, 1}, network.now());
      network.run(250ms);
    }
    CHECK(network.now().now - killed <= 1500ms);
    network.run(100ms);
    for (unsigned i = 2; i <= 5; ++i) CHECK(network.node(i).is_linked(6) == is_alive);
  }
}

TEST_CASE("node: the end of traffic costs one echo") {
  Talking network;
  std::size_t sent = 0;
  network.on_action = [&](TestNode& one, const mesh::Action& action) {
    const auto* send = std::get_if<mesh::SendDatagram>(&action);
    if (one.number == 1 && send && send->path.way == mesh::Way::kLink) ++sent;
  };
  for (int i = 0; i < 8; ++i) {
    network.run(250ms);
    network.tell();
  }
  CHECK(sent == 1);
  CHECK(network.node(1).links_up() == 1);
}

TEST_CASE("node: traffic one way is no reason to end a link") {
  TestNetwork network;
  for (unsigned i = 1; i <= 2; ++i) network.add(i);
  REQUIRE(network.start_pair(5s));
  mesh::Traffic traffic{network.node(1).mesh->links()[0].link, 0, 0, 0};
  for (int i = 0; i < 100; ++i) {
    traffic.sent += 10;
    network.node(1).mesh->on_traffic({&traffic, 1}, network.now());
    network.run(250ms);
  }
  CHECK(network.node(1).links_up() == 1);
  CHECK(network.node(1).count(NodeEvent::kLinkLost) == 0);
}

TEST_CASE("node: one that slept does not blame its neighbours") {
  TestNetwork network;
  for (unsigned i = 1; i <= 2; ++i) network.add(i);
  REQUIRE(network.start_pair(5s));
  network.run(10s);
  // As after a suspend: a minute passes, nothing of what came was read yet.
  const auto times = network.now();
  auto& node = *network.node(1).mesh;
  for (const auto late : {60s, 61s}) {
    node.tick({times.now + late, times.wall + late});
    CHECK(network.node(1).links_up() == 1);
    (void)node.take_actions();
  }
}

TEST_CASE("node: started again, it is linked with the same peers at once") {
  TestNetwork network;
  for (unsigned i = 1; i <= 4; ++i) network.add(i);
  REQUIRE(network.start_all(10s));
  network.run(20s);
  const auto cache = network.node(2).mesh->contacts_to_cache();
  CHECK(cache.size() == 3);
  network.kill(2);
  network.run(100ms);
  network.start(2);
  for (const auto& der : cache) network.node(2).mesh->on_contact(der, false, network.now());
  REQUIRE(network.run_until([&] { return network.node(2).links_up() == 3 && network.is_connected(); }, 5s));
  // The others' old links do not end because of what was lost.
  network.run(30s);
  CHECK(network.node(2).links_up() == 3);
  for (unsigned i : {1U, 3U, 4U}) CHECK(network.node(i).is_linked(2));
}

TEST_CASE("node: all start again while the registry is down, and find each other from their caches") {
  TestNetwork network;
  for (unsigned i = 1; i <= 20; ++i) network.add(i).settings.client_count = 4;
  REQUIRE(network.start_all(10s));
  network.run(30s);
  std::map<unsigned, std::vector<std::vector<std::uint8_t>>> caches;
  for (unsigned i = 1; i <= 20; ++i) caches[i] = network.node(i).mesh->contacts_to_cache();
  for (unsigned i = 1; i <= 20; ++i) network.kill(i);
  network.run(5s);
  for (unsigned i = 1; i <= 20; ++i) {
    network.start(i);
    // Each had time to remember a few.
    caches[i].resize(std::min<std::size_t>(caches[i].size(), 8));
    for (const auto& der : caches[i]) network.node(i).mesh->on_contact(der, false, network.now());
  }
  CHECK(network.run_until([&] { return network.is_connected(); }, 5s));
}

TEST_CASE("node: a pair that lost each other for hours is one again within a minute or two") {
  TestNetwork network;
  for (unsigned i = 1; i <= 4; ++i) network.add(i);
  REQUIRE(network.start_all(10s));
  network.passes = [](unsigned a, unsigned b) { return (a <= 2) == (b <= 2); };
  network.run(3h);
  REQUIRE(network.node(1).mesh->known_destinations() == 1);
  network.passes = [](unsigned, unsigned) { return true; };
  CHECK(network.run_until([&] { return network.is_connected(); }, 2min));
}

TEST_CASE("node: those that start one after the other find each other without the registry") {
  TestNetwork network;
  for (unsigned i = 1; i <= 12; ++i) network.add(i).settings.client_count = 3;
  std::vector<std::vector<std::uint8_t>> cache;
  for (unsigned i = 1; i <= 12; ++i) {
    network.start(i);
    cache.push_back(network.node(i).mesh->own_contact().der);
  }
  for (unsigned i = 1; i <= 12; ++i) network.kill(i);
  // Half a second between them, as on a machine that is busy.
  for (unsigned i = 1; i <= 12; ++i) {
    network.start(i);
    for (const auto& der : cache) network.node(i).mesh->on_contact(der, false, network.now());
    network.run(500ms);
  }
  CHECK(network.run_until([&] { return network.is_connected(); }, 3s));
}

TEST_CASE("node: two halves that cannot reach each other become one again") {
  TestNetwork network;
  for (unsigned i = 1; i <= 12; ++i) network.add(i).settings.client_count = 3;
  REQUIRE(network.start_all(10s));
  network.run(30s);
  network.passes = [](unsigned a, unsigned b) { return (a <= 6) == (b <= 6); };
  network.run(2min);
  CHECK_FALSE(network.is_connected());
  CHECK(network.node(1).mesh->known_destinations() == 5);
  network.passes = [](unsigned, unsigned) { return true; };
  CHECK(network.run_until([&] { return network.is_connected(); }, 90s));
}

TEST_CASE("node: the least useful link is replaced, gently") {
  TestNetwork network;
  for (unsigned i = 1; i <= 30; ++i) {
    network.add(i).settings.client_count = 3;
    network.node(i).settings.tunnel_refresh = 60s;
  }
  std::size_t raised = 0;
  std::size_t lost = 0;
  network.on_action = [&](TestNode&, const mesh::Action& action) {
    if (std::holds_alternative<mesh::RaiseCost>(action)) ++raised;
    if (const auto* report = std::get_if<mesh::Report>(&action))
      lost += report->event == NodeEvent::kLinkLost ? 1 : 0;
  };
  REQUIRE(network.start_all(10s));
  network.run(30s);
  std::set<std::pair<unsigned, unsigned>> before;
  for (unsigned i = 1; i <= 30; ++i) {
    for (const auto& [id, side] : network.node(i).links) before.emplace(i, side.peer);
  }
  network.run(10min);
  CHECK(raised > 100);
  CHECK(lost == 0);
  CHECK(network.is_connected());
  std::size_t same = 0;
  for (unsigned i = 1; i <= 30; ++i) {
    for (const auto& [id, side] : network.node(i).links) same += before.contains({i, side.peer}) ? 1 : 0;
  }
  CHECK(same < before.size() * 3 / 4);
}

TEST_CASE("node: who serves enough says so, and configured neighbours are linked all the same") {
  TestNetwork network;
  network.add(1).settings.most_served = 2;
  network.node(1).settings.client_count = 1;
  network.node(1).settings.neighbours = {prefix_of(9)};
  for (unsigned i = 2; i <= 9; ++i) network.add(i);
  network.start(1);
  for (unsigned i = 2; i <= 9; ++i) network.start(i);
  network.passes = [](unsigned a, unsigned b) { return a == 1 || b == 1; };
  for (unsigned i = 2; i <= 8; ++i) network.introduce(1, i);
  network.run(30s);
  // And the one that it made itself.
  CHECK(network.node(1).links_up() == 3);
  CHECK(network.node(1).count(NodeEvent::kServedFull) > 0);
  CHECK(network.node(1).mesh->counters().refused > 0);
  std::size_t refused = 0;
  for (unsigned i = 2; i <= 8; ++i) refused += network.node(i).count(NodeEvent::kLinkRefused);
  CHECK(refused > 0);
  network.introduce(1, 9);
  CHECK(network.run_until([&] { return network.node(9).is_linked(1); }, 5s));
  CHECK(network.node(1).links_up() == 4);
}

TEST_CASE("node: a configured neighbour whose contact is not known is asked for") {
  TestNetwork network;
  network.add(1).settings.neighbours = {prefix_of(2)};
  network.add(2);
  network.start(1);
  network.start(2);
  network.run(2s);
  CHECK(network.node(1).asked_for.contains(prefix_of(2)));
  network.introduce(2, 1);
  REQUIRE(network.run_until([&] { return network.node(1).is_linked(2); }, 10s));
  CHECK(network.node(1).mesh->links()[0].is_fixed);
}

TEST_CASE("node: client_only makes one link, with whoever is there, and none for others") {
  TestNetwork network;
  network.add(1);
  network.add(2);
  network.add(3).settings.client_only = {network.node(1).outside};
  for (unsigned i : {1U, 2U, 3U}) network.start(i);
  network.introduce(2, 1);
  network.introduce(1, 3);
  network.introduce(2, 3);
  REQUIRE(network.run_until([&] { return network.is_connected(); }, 10s));
  network.run(2min);
  CHECK(network.node(3).links_up() == 1);
  CHECK(network.node(3).is_linked(1));
  CHECK(network.node(3).asked_contacts == 0);
  CHECK(network.node(3).mesh->own_contact().contact.endpoints.empty());
  // And never gives up.
  network.kill(1);
  network.run(5min);
  CHECK(network.node(3).links_up() == 0);
  network.start(1);
  CHECK(network.run_until([&] { return network.node(3).links_up() == 1; }, 20s));
}

TEST_CASE("node: client_only with several addresses takes the one that answers, and new ones") {
  TestNetwork network;
  network.add(1);
  network.add(2);
  // Nobody is at the first.
  network.add(3).settings.client_only = {endpoint("203.0.113.9"), network.node(1).outside};
  for (unsigned i : {1U, 2U, 3U}) network.start(i);
  CHECK(network.run_until([&] { return network.node(3).is_linked(1); }, 10s));
  // Its name stands for another machine now.
  network.kill(1);
  REQUIRE(network.run_until([&] { return network.node(3).links_up() == 0; }, 60s));
  network.node(3).mesh->on_servers({network.node(2).outside}, network.now());
  CHECK(network.run_until([&] { return network.node(3).is_linked(2); }, 10s));
  // A look-up that found nothing changes nothing.
  network.node(3).mesh->on_servers({}, network.now());
  network.run(1min);
  CHECK(network.node(3).is_linked(2));
  // And none makes a client of another node.
  network.node(2).mesh->on_servers({network.node(1).outside}, network.now());
  CHECK_FALSE(network.node(2).mesh->own_contact().contact.endpoints.empty());
}

TEST_CASE("node: a node that leaves says so") {
  TestNetwork network;
  for (unsigned i = 1; i <= 3; ++i) network.add(i);
  for (unsigned i = 1; i <= 3; ++i) network.start(i);
  network.introduce_all();
  REQUIRE(network.run_until([&] { return network.is_connected() && network.node(1).links_up() == 2; }, 10s));
  auto& leaving = *network.node(1).mesh;
  leaving.leave(network.now());
  auto actions = leaving.take_actions();
  CHECK(std::ranges::count_if(
            actions, [](const auto& one) { return std::holds_alternative<mesh::CloseLink>(one); }) == 2);
  CHECK(leaving.deadline() == TimePoint::max());
  for (unsigned i : {2U, 3U}) {
    for (auto& [id, side] : network.node(i).links) {
      if (side.peer != 1) continue;
      for (const auto& action : actions) {
        const auto* send = std::get_if<mesh::SendDatagram>(&action);
        if (!send || network.node(1).links.at(send->path.link).peer != i) continue;
        network.node(i).mesh->input(send->bytes, {mesh::Way::kLink, {}, mesh::Transport::kUdp, id},
                                    network.now());
      }
    }
    CHECK(network.node(i).links_up() == 1);
  }
  leaving.tick(network.now());
  leaving.on_network_change(network.now());
  CHECK(leaving.take_actions().empty());
}

TEST_CASE("node: ten thousand destinations, and no work for each at every tick") {
  TestNetwork network;
  network.add(1);
  network.start(1);
  std::vector<mesh::Reached> reached;
  for (unsigned i = 0; i < 10000; ++i) reached.push_back({prefix_of(i), 0});
  network.node(1).mesh->on_routes(reached, network.now());
  CHECK(network.node(1).mesh->known_destinations() == 9999);
  std::ranges::reverse(reached);
  network.node(1).mesh->on_routes(reached, network.now());
  CHECK(network.node(1).mesh->known_destinations() == 9999);
  network.run(10min);
  network.node(1).mesh->on_routes({}, network.now());
  CHECK(network.node(1).mesh->known_destinations() == 0);
}

TEST_CASE("node: the same seed, the same doing") {
  std::vector<std::size_t> datagrams;
  for (int run = 0; run < 2; ++run) {
    TestNetwork network;
    for (unsigned i = 1; i <= 10; ++i) network.add(i).settings.client_count = 3;
    for (unsigned i = 1; i <= 10; ++i) network.start(i);
    network.introduce_all();
    network.run(60s);
    datagrams.push_back(network.outer_datagrams);
  }
  CHECK(datagrams[0] == datagrams[1]);
  CHECK(datagrams[0] > 0);
}
