// SPDX-License-Identifier: BSD-3-Clause
// That the stand-ins are what they stand for.
#include <algorithm>
#include <array>
#include <map>

#include "src/mesh/signed_contact.h"
#include "src/pki/authority.h"
#include "src/pki/certificate_request.h"
#include "src/pki/private_key.h"
#include "tests/sim/check.h"
#include "tests/sim/delays.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/graph.h"
#include "tests/sim/nat.h"
#include "tests/sim/stand_ins.h"
#include "tests/sim/underlay.h"

namespace sixlink::sim {
namespace {

std::string delays_are_an_internets() {
  std::vector<bool> at_home(400);
  for (std::size_t i = 0; i < at_home.size(); ++i) at_home[i] = i % 10 >= 3;
  const Delays delays(at_home, 1);
  std::vector<double> all;
  std::size_t detours = 0;
  for (std::uint32_t a = 0; a < 400; ++a) {
    for (std::uint32_t b = 0; b < a; ++b) {
      const auto direct = delays.round_trip(a, b);
      if (direct != delays.round_trip(b, a)) return "a round trip depends on who begins it";
      all.push_back(static_cast<double>(direct.count()) / 1000);
      const auto via = (a * 7 + b * 13) % 400;
      if (via != a && via != b && delays.round_trip(a, via) + delays.round_trip(via, b) < direct) ++detours;
    }
  }
  std::ranges::sort(all);
  const double median = all[all.size() / 2];
  if (median < 130 || median > 180) return "the median round trip is " + std::to_string(median) + " ms";
  if (detours == 0) return "no detour is shorter than the direct way, as some are in the Internet";
  return {};
}

std::string translators_are_rfc4787s() {
  std::mt19937_64 random(1);
  const TimePoint now(std::chrono::hours(1));
  const Address one{1, 1000};
  const Address other_port{1, 1001};
  const Address other{2, 1000};
  const auto lets = [&](NatKinds kinds) {
    Nat nat(kinds);
    if (nat.lets_in(kPort, one, now)) return std::string("before anything went out");
    const auto port = nat.out(kPort, one, now, random);
    const bool same = nat.out(kPort, other, now, random) == port;
    Nat fresh(kinds);
    const auto first = fresh.out(kPort, one, now, random);
    std::string text = same ? "one mapping" : "a mapping each";
    if (fresh.lets_in(first, one, now)) text += ", same";
    if (fresh.lets_in(first, other_port, now)) text += ", other port";
    if (fresh.lets_in(first, other, now)) text += ", other";
    if (fresh.lets_in(first, one, now + Nat::kLife)) text += ", for ever";
    return text;
  };
  using enum Dependence;
  if (lets({kNone, kNone}) != "one mapping, same, other port, other")
    return "full cone: " + lets({kNone, kNone});
  if (lets({kNone, kAddress}) != "one mapping, same, other port")
    return "address: " + lets({kNone, kAddress});
  if (lets({kNone, kAddressAndPort}) != "one mapping, same") return "port: " + lets({kNone, kAddressAndPort});
  if (lets({kAddressAndPort, kAddressAndPort}) != "a mapping each, same")
    return "symmetric: " + lets({kAddressAndPort, kAddressAndPort});
  return {};
}

// Against a map: what is over is not there, and nothing else is lost.
std::string tables_remember() {
  std::mt19937_64 random(3);
  NatTable table;
  std::map<std::uint64_t, std::pair<TimePoint, std::uint16_t>> oracle;
  TimePoint now(std::chrono::hours(1));
  for (int step = 0; step < 50'000; ++step) {
    now += std::chrono::milliseconds(random() % 20);
    const auto key = random() % 600 * 0x1'0000'0001;
    const auto* found = table.find(key, now);
    const auto known = oracle.find(key);
    const bool is_there = known != oracle.end() && known->second.first > now;
    if ((found != nullptr) != is_there) return is_there ? "one was forgotten" : "one is there that is over";
    if (found && found->port != known->second.second) return "it is another one's";
    if (random() % 3 == 0) continue;
    auto& entry = table.get(key, now);
    if ((entry.port != 0) != is_there) return "a new one is not new";
    entry.port = static_cast<std::uint16_t>(1 + random() % 60'000);
    entry.until = now + std::chrono::milliseconds(1 + random() % 9'000);
    oracle[key] = {entry.until, entry.port};
  }
  table.forget_old(now);
  const auto left = static_cast<std::size_t>(
      std::ranges::count_if(oracle, [&](const auto& one) { return one.second.first > now; }));
  return table.size() == left ? "" : std::to_string(table.size()) + " are left of " + std::to_string(left);
}

// Against a sorted one, with what comes at once, soon, and long after.
std::string events_come_in_order() {
  struct Event {
    TimePoint at;
    std::uint64_t order;
    // NOLINTNEXTLINE(modernize-use-nullptr): there is none
    auto operator<=>(const Event&) const = default;
  };
  std::mt19937_64 random(4);
  EventQueue<Event> queue;
  std::multimap<Event, int> oracle;
  TimePoint now(std::chrono::hours(1));
  for (std::uint64_t step = 0; step < 50'000; ++step) {
    if (oracle.empty() || random() % 100 < (step % 10'000 < 5'000 ? 60 : 40)) {
      constexpr std::array<std::uint64_t, 4> kAhead{1, 1'000'000, 300'000'000, 200'000'000'000};
      const Event event{now + std::chrono::nanoseconds(random() % kAhead[random() % kAhead.size()]), step};
      queue.push(event);
      oracle.emplace(event, 0);
    } else {
      if (queue.top() != oracle.begin()->first) return "another one was to come";
      now = queue.top().at;
      queue.pop();
      oracle.erase(oracle.begin());
    }
    if (queue.empty() != oracle.empty()) return "it says that it is empty, or is and does not say so";
  }
  return {};
}

std::string shortest_is_shortest() {
  std::mt19937_64 random(7);
  constexpr std::uint32_t kNodes = 60;
  std::vector<std::vector<std::uint32_t>> costs(kNodes, std::vector<std::uint32_t>(kNodes, Graph::kNone));
  for (int i = 0; i < 150; ++i) {
    const auto a = random() % kNodes;
    const auto b = random() % kNodes;
    if (a != b) costs[a][b] = Graph::kLeastCost + static_cast<std::uint32_t>(random() % 20'000);
  }
  Graph graph;
  for (std::uint32_t a = 0; a < kNodes; ++a) {
    for (std::uint32_t b = 0; b < kNodes; ++b) {
      if (costs[a][b] != Graph::kNone) graph.add({b, costs[a][b], b + 1});
    }
    graph.end_node();
  }
  // Slow and obvious.
  std::vector<std::uint64_t> best(kNodes, UINT64_MAX);
  best[0] = 0;
  for (std::uint32_t round = 0; round < kNodes; ++round) {
    for (std::uint32_t a = 0; a < kNodes; ++a) {
      for (std::uint32_t b = 0; b < kNodes; ++b) {
        if (best[a] != UINT64_MAX && costs[a][b] != Graph::kNone)
          best[b] = std::min(best[b], best[a] + costs[a][b]);
      }
    }
  }
  Graph::Tree tree;
  graph.shortest(0, tree);
  for (std::uint32_t node = 0; node < kNodes; ++node) {
    const auto expected = best[node] == UINT64_MAX ? Graph::kNone : static_cast<std::uint32_t>(best[node]);
    if (tree.cost[node] != expected)
      return "node " + std::to_string(node) + " costs " + std::to_string(tree.cost[node]);
  }
  return {};
}

mesh::Contact a_contact(std::uint32_t number, mesh::WallTime now) {
  mesh::Contact contact;
  contact.prefix = prefix_of(number);
  contact.key = key_of(number);
  contact.sequence = 1;
  contact.expires = std::chrono::floor<std::chrono::seconds>(now) + std::chrono::hours(24);
  contact.endpoints = {{boost::asio::ip::address_v4(kOutsideBlock + number), kPort, mesh::Transport::kUdp,
                        mesh::EndpointKind::kPublic}};
  return contact;
}

std::string signatures_refuse() {
  const Authority authority(1);
  const Authority foreign(2);
  Contacts contacts(authority, 10);
  const mesh::WallTime now(std::chrono::hours(490'000));
  const auto der = Signer(authority, 3).sign(a_contact(3, now)).der;
  for (std::size_t i = 0; i < der.size(); ++i) {
    auto changed = der;
    changed[i] ^= 1;
    if (contacts.open(changed, now).contact) return "byte " + std::to_string(i) + " may be changed";
  }
  if (contacts.open(Signer(foreign, 3).sign(a_contact(3, now)).der, now).contact)
    return "a foreign authority is good";
  if (contacts.open(Signer(authority, 4).sign(a_contact(3, now)).der, now).contact)
    return "a node may sign for another";
  if (contacts.open(der, now + std::chrono::hours(25)).contact) return "an expired contact is good";
  const auto opened = contacts.open(der, now);
  if (!opened.contact) return "a good contact is refused: " + opened.problem;
  if (opened.contact->contact != a_contact(3, now)) return "a contact is not what was signed";
  contacts.set_revoked({serial_of(3)});
  if (contacts.open(der, now).contact) return "a revoked node's contact is good";
  return {};
}

// What travels is as long as the real thing.
std::string documents_are_as_long() {
  const mesh::WallTime now(std::chrono::hours(490'000));
  const pki::Validity year{now - std::chrono::hours(24), now + std::chrono::hours(8760)};
  const auto authority = pki::Authority::create(network_prefix(), "network", year);
  const auto key = pki::PrivateKey::generate();
  std::string problem;
  const auto request = pki::CertificateRequest::make(key, {{"CN", "node"}}, problem);
  if (!request) return problem;
  const auto certificate = authority.issue(*request, prefix_of(3), 4, year);
  if (!certificate) return "no certificate";
  const auto real = mesh::sign_contact(a_contact(3, now), *certificate, key).der.size();
  const auto ours = Signer(Authority(1), 3).sign(a_contact(3, now)).der.size();
  if (ours + 40 < real || ours > real + 40)
    return "a contact has " + std::to_string(ours) + " bytes, a real one " + std::to_string(real);
  return {};
}

}  // namespace

std::vector<Check> checks_of_parts() {
  return {{"delays: those of an Internet", delays_are_an_internets},
          {"translators: as RFC 4787 has them", translators_are_rfc4787s},
          {"translators: a table against an obvious one", tables_remember},
          {"events: in order, against an obvious queue", events_come_in_order},
          {"routes: shortest paths are", shortest_is_shortest},
          {"signatures: what is not the node's is refused", signatures_refuse},
          {"signatures: as long as real ones", documents_are_as_long}};
}

}  // namespace sixlink::sim
