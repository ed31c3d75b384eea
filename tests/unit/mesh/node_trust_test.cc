// SPDX-License-Identifier: BSD-3-Clause
// What nodes believe and what not: revocation, parameters, stolen and repeated contacts, floods.
#include <algorithm>

#include "src/mesh/control_message.h"
#include "src/mesh/control_parts.h"
#include "src/mesh/parameters_pull.h"
#include "src/tsp/rudp.h"
#include "tests/unit/mesh/mesh_network.h"

using namespace sixlink;
using namespace sixlink::test;
using mesh::NodeEvent;
using namespace std::chrono_literals;

namespace {

const Endpoint kStranger = endpoint("203.0.113.66", 1234);

std::vector<std::uint8_t> rudp(std::string_view text, std::uint32_t sequence = 0xF0000001) {
  return tsp::make_rudp({sequence, 0}, text);
}

// What a node sends to somebody.
struct Watched : TestNetwork {
  std::vector<mesh::SendDatagram> sent;
  explicit Watched(const Endpoint& to = kStranger) {
    on_action = [this, to](TestNode&, const mesh::Action& action) {
      const auto* send = std::get_if<mesh::SendDatagram>(&action);
      if (send && send->path.endpoint == to) sent.push_back(*send);
    };
  }
  std::string_view text(std::size_t i) const {
    return {reinterpret_cast<const char*>(sent[i].bytes.data()) + 8, sent[i].bytes.size() - 8};
  }
  // As a node that knows how it is done; the cookie is asked for first. Returns the status, 0: no answer.
  int ask(unsigned whom, const std::vector<std::uint8_t>& contact, std::optional<net::Prefix> to,
          const Endpoint& from = kStranger) {
    sent.clear();
    inject(from, whom, rudp(mesh::outer_echo({false, 77, 0, 0})));
    if (sent.empty()) return -1;
    const auto echo = mesh::parse_outer_echo(text(0));
    REQUIRE(echo);
    CHECK(echo->nonce == 77);
    sent.clear();
    mesh::ControlMessage request;
    request.nonce = 77;
    request.to = to;
    request.mtu = 1420;
    request.contacts = {contact};
    for (auto& part : mesh::make_parts(0xF0000002, 0, echo->cookie, to_text(request)))
      inject(from, whom, part);
    if (sent.empty()) return 0;
    std::string answer;
    for (std::size_t i = 0; i < sent.size(); ++i) answer += mesh::parse_part(text(i)).value().bytes;
    return mesh::parse_control(answer).value().status;
  }
};

mesh::Contact contact_of(unsigned number, std::uint64_t sequence = 5) {
  mesh::Contact contact;
  contact.prefix = prefix_of(number);
  contact.key = key_of(number);
  contact.endpoints = {contact_endpoint(kStranger)};
  contact.sequence = sequence;
  contact.expires = kWall + 24h;
  return contact;
}
std::vector<std::uint8_t> sealed(const mesh::Contact& contact, unsigned certificate) {
  return seal(serial_of(certificate), prefix_of(certificate), to_xml(contact));
}

}  // namespace

TEST_CASE("trust: nothing but an echo is answered to somebody who did not show that he is there") {
  Watched network;
  network.add(1);
  network.start(1);
  network.run(1s);
  mesh::ControlMessage request;
  request.nonce = 7;
  request.mtu = 1420;
  request.contacts = {sealed(contact_of(5), 5)};
  for (const std::uint64_t cookie : {0ULL, 1ULL, ~0ULL}) {
    for (const auto& part : mesh::make_parts(0xF0000002, 0, cookie, to_text(request)))
      network.inject(kStranger, 1, part);
  }
  CHECK(network.sent.empty());
  CHECK(network.node(1).contacts->verified == 0);
  CHECK(network.node(1).mesh->links().empty());
  // One echo's answer is as long as its question.
  const auto question = rudp(mesh::outer_echo({false, 7, 0, 0}));
  network.inject(kStranger, 1, question);
  REQUIRE(network.sent.size() == 1);
  CHECK(network.sent[0].bytes.size() == question.size());
  // A cookie is one address's, and one port's.
  const auto cookie = mesh::parse_outer_echo(network.text(0))->cookie;
  network.sent.clear();
  for (const auto& part : mesh::make_parts(0xF0000002, 0, cookie, to_text(request)))
    network.inject({kStranger.address(), 1235}, 1, part);
  CHECK(network.node(1).contacts->verified == 0);
  // And ends.
  network.run(3min);
  for (const auto& part : mesh::make_parts(0xF0000002, 0, cookie, to_text(request)))
    network.inject(kStranger, 1, part);
  CHECK(network.node(1).contacts->verified == 0);
}

TEST_CASE("trust: whose contact is good gets a link, and nobody else") {
  Watched network;
  network.add(1);
  network.start(1);
  network.run(1s);
  // Not signed by the one it is of; a wrong signature; nothing at all.
  CHECK(network.ask(1, sealed(contact_of(5), 6), prefix_of(1)) == 300);
  auto damaged = sealed(contact_of(5), 5);
  damaged[damaged.size() / 2] ^= 1;
  CHECK(network.ask(1, damaged, prefix_of(1)) == 300);
  CHECK(network.ask(1, {1, 2, 3}, prefix_of(1)) == 300);
  auto old = contact_of(5);
  old.expires = kWall - 1s;
  CHECK(network.ask(1, sealed(old, 5), prefix_of(1)) == 300);
  CHECK(network.node(1).count(NodeEvent::kBadContact) == 4);
  CHECK(network.node(1).mesh->counters().bad_contacts == 4);
  CHECK(network.ask(1, sealed(contact_of(5), 5), prefix_of(2)) == 502);
  // This node's own.
  CHECK(network.ask(1, sealed(contact_of(1), 1), prefix_of(1)) == 0);
  CHECK(network.node(1).links.empty());
  CHECK(network.ask(1, sealed(contact_of(5), 5), prefix_of(1)) == 200);
  REQUIRE(network.node(1).links.size() == 1);
  CHECK(network.node(1).links.begin()->second.endpoint == kStranger);
  // No handshake: it goes away by itself.
  network.run(20s);
  CHECK(network.node(1).links.empty());
}

TEST_CASE("trust: a contact that is older than known is refused, and its node is told of the newer") {
  Watched network;
  network.add(1);
  network.start(1);
  network.run(1s);
  REQUIRE(network.ask(1, sealed(contact_of(5, 9), 5), prefix_of(1)) == 200);
  network.run(20s);
  CHECK(network.ask(1, sealed(contact_of(5, 8), 5), prefix_of(1)) == 521);
  CHECK(network.node(1).mesh->counters().old_contacts == 1);
  CHECK(network.node(1).links.empty());
}

TEST_CASE("trust: a node whose clock was set back is heard again") {
  TestNetwork network;
  network.add(1);
  network.add(2);
  network.start(1);
  network.start(2);
  // Somebody has a contact of node 2 from the future.
  auto ahead = contact_of(2, 4'000'000'000'000);
  network.node(1).mesh->on_contact(sealed(ahead, 2), false, network.now());
  network.introduce(1, 2);
  CHECK(network.run_until([&] { return network.is_connected(); }, 20s));
  CHECK(network.node(2).mesh->own_contact().contact.sequence > 4'000'000'000'000);
  // One after which there could be no newer changes nothing.
  network.node(2).mesh->on_contact(sealed(contact_of(2, ~0ULL), 2), false, network.now());
  network.run(20s);
  CHECK(network.node(2).mesh->own_contact().contact.sequence < 5'000'000'000'000);
}

TEST_CASE("trust: an answer of another node, or to nobody's question") {
  TestNetwork network;
  network.add(1);
  network.add(2);
  network.start(1);
  network.start(2);
  // Node 3 says that it is where node 2 is.
  auto wrong = contact_of(3);
  wrong.endpoints = {contact_endpoint(network.node(2).outside)};
  network.node(1).mesh->on_contact(sealed(wrong, 3), false, network.now());
  network.run(10s);
  CHECK(network.node(1).links_up() == 0);
  CHECK(network.node(1).count(NodeEvent::kLinkRefused) > 0);
  const auto before = network.node(1).mesh->links().size();
  mesh::ControlMessage answer;
  answer.kind = mesh::ControlKind::kAnswer;
  answer.status = 200;
  answer.mtu = 1420;
  answer.contacts = {sealed(contact_of(4), 4)};
  for (const auto& part : mesh::make_parts(0xF0000001, 0, 0, to_text(answer)))
    network.inject(network.node(2).outside, 1, part);
  CHECK(network.node(1).mesh->links().size() <= before);
  CHECK(network.node(1).links.empty());
}

TEST_CASE("trust: who answers for another prefix gets no link") {
  const auto stolen = sealed(contact_of(3, 7), 3);
  auto forged = stolen;
  forged.back() ^= 1;
  struct Case {
    std::vector<std::uint8_t> contact;
    bool is_opened;
  };
  // Its own contact; one that is damaged; an old one; this node's; and the right one, which it has no key
  // for.
  for (const auto& [contact, is_opened] :
       {Case{sealed(contact_of(5), 5), false}, Case{forged, false}, Case{sealed(contact_of(3, 6), 3), false},
        Case{sealed(contact_of(1), 1), false}, Case{stolen, true}}) {
    Watched network;
    network.add(1);
    network.start(1);
    network.run(1s);
    network.node(1).mesh->on_contact(stolen, false, network.now());
    REQUIRE(network.run_until([&] { return !network.sent.empty(); }, 2s));
    const auto question = mesh::parse_outer_echo(network.text(0));
    REQUIRE(question);
    const auto sequence = tsp::parse_rudp(network.sent[0].bytes)->header.sequence;
    network.sent.clear();
    // A wrong nonce is nobody's answer.
    network.inject(kStranger, 1, rudp(mesh::outer_echo({true, question->nonce + 1, 5, 0}), sequence));
    CHECK(network.sent.empty());
    network.inject(kStranger, 1, rudp(mesh::outer_echo({true, question->nonce, 5, 0}), sequence));
    REQUIRE_FALSE(network.sent.empty());
    CHECK(mesh::parse_part(network.text(0))->cookie == 5);
    mesh::ControlMessage answer;
    answer.kind = mesh::ControlKind::kAnswer;
    answer.status = 200;
    answer.nonce = question->nonce;
    answer.mtu = 1420;
    answer.contacts = {contact};
    for (const auto& part : mesh::make_parts(sequence, 0, 0, to_text(answer)))
      network.inject(kStranger, 1, part);
    CHECK(network.node(1).links.size() == (is_opened ? 1 : 0));
    network.run(15s);
    CHECK(network.node(1).links_up() == 0);
    CHECK(network.node(1).links.empty());
    CHECK(network.node(1).count(NodeEvent::kLinkFailed) > 0);
  }
}

TEST_CASE("trust: repeating a neighbour's request does not disturb its link") {
  Watched network;
  for (unsigned i = 1; i <= 2; ++i) network.add(i);
  REQUIRE(network.start_pair(5s));
  network.run(5s);
  const auto before = network.node(1).mesh->links();
  for (int i = 0; i < 20; ++i) {
    CHECK(network.ask(1, network.node(2).mesh->own_contact().der, prefix_of(1)) == 200);
    network.run(2s);
  }
  const auto after = network.node(1).mesh->links();
  REQUIRE(after.size() == 1);
  CHECK(after[0].link == before[0].link);
  CHECK(after[0].endpoint == before[0].endpoint);
  CHECK(network.node(1).count(NodeEvent::kLinkLost) == 0);
}

TEST_CASE("trust: a newer contact with another key replaces the link") {
  Watched network;
  network.add(1);
  network.start(1);
  network.run(1s);
  REQUIRE(network.ask(1, sealed(contact_of(5, 9), 5), prefix_of(1)) == 200);
  const auto first = network.node(1).mesh->links()[0].link;
  auto other = contact_of(5, 10);
  other.key = key_of(99);
  CHECK(network.ask(1, sealed(other, 5), prefix_of(1)) == 200);
  REQUIRE(network.node(1).mesh->links().size() == 1);
  CHECK(network.node(1).mesh->links()[0].link != first);
}

TEST_CASE("trust: floods are bounded, and the next good request is served") {
  Watched network;
  network.add(1);
  network.start(1);
  network.run(1s);
  const auto question = rudp(mesh::outer_echo({false, 7, 0, 0}));
  for (int i = 0; i < 10000; ++i) network.inject(kStranger, 1, question);
  CHECK(network.sent.size() <= 200);
  CHECK(network.node(1).mesh->counters().rate_limited >= 9800);
  network.run(5s);
  // Requests with bad contacts, each a signature to check.
  for (int i = 0; i < 1000; ++i) network.ask(1, sealed(contact_of(5), 6), prefix_of(1));
  CHECK(network.node(1).contacts->verified <= 100);
  network.run(5s);
  CHECK(network.ask(1, sealed(contact_of(5), 5), prefix_of(1)) == 200);
  CHECK(network.ask(1, sealed(contact_of(6), 6), prefix_of(1), kStranger) == 200);
}

TEST_CASE("trust: who has others' contacts, but not their keys, cannot have links opened all the time") {
  Watched network;
  for (const unsigned number : {1, 5, 6}) network.add(number);
  network.start(1);
  network.run(1s);
  std::size_t opened = 0;
  // From another port each time: a link that waits for its handshake is begun anew.
  const auto ask_from = [&](const Endpoint& from, unsigned number) {
    network.on_action = [&, from](TestNode&, const mesh::Action& action) {
      const auto* send = std::get_if<mesh::SendDatagram>(&action);
      if (send && send->path.endpoint == from) network.sent.push_back(*send);
      if (std::holds_alternative<mesh::OpenLink>(action)) ++opened;
    };
    return network.ask(1, sealed(contact_of(number), number), prefix_of(1), from);
  };
  std::uint16_t port = 2000;
  for (int i = 0; i < 60; ++i) ask_from({kStranger.address(), ++port}, 5);
  CHECK(opened >= 1);
  CHECK(opened <= 20);
  opened = 0;
  for (int i = 0; i < 200; ++i) {
    ask_from({kStranger.address(), ++port}, 5);
    network.run(100ms);
  }
  CHECK(opened <= 25);  // in 20 s
  // Somebody else gets his link meanwhile.
  CHECK(ask_from(endpoint("203.0.113.77", 1234), 6) == 200);
}

TEST_CASE("trust: links that nobody shakes hands on take no places from those who would") {
  Watched network;
  auto& node = network.add(1);
  for (unsigned number = 5; number < 9; ++number) network.add(number);
  network.add(20);
  network.add(21);
  node.settings.client_count = 2;  // four are served, three of them of everybody
  network.start(1);
  network.run(1s);
  for (unsigned number = 5; number < 9; ++number)
    network.ask(1, sealed(contact_of(number), number), prefix_of(1));
  REQUIRE(node.links.size() == 3);
  // At once they may be as honest as any.
  CHECK(network.ask(1, sealed(contact_of(20), 20), prefix_of(1)) != 200);
  network.run(4s);
  CHECK(network.ask(1, sealed(contact_of(21), 21), prefix_of(1)) == 200);
  CHECK(node.links.size() == 3);
}

TEST_CASE("trust: what cannot be read is counted and survived") {
  TestNetwork network;
  for (unsigned i = 1; i <= 2; ++i) network.add(i);
  REQUIRE(network.start_pair(5s));
  auto& node = *network.node(1).mesh;
  const auto link = node.links()[0].link;
  const auto before = node.counters().malformed;
  const std::vector<std::vector<std::uint8_t>> bad{{},
                                                   {0xF0},
                                                   rudp(""),
                                                   rudp("ECHO"),
                                                   rudp("PART 1/1 0000000000000000\r\n<tunnel"),
                                                   rudp("PART 2/1 0000000000000000\r\nx"),
                                                   std::vector<std::uint8_t>(1400, 0xF0),
                                                   {1, 2, 3, 4, 5, 6, 7, 8, 9}};
  for (const auto& bytes : bad) {
    node.input(bytes, {mesh::Way::kOuter, kStranger, mesh::Transport::kUdp, 0}, network.now());
    node.input(bytes, {mesh::Way::kLink, {}, mesh::Transport::kUdp, link}, network.now());
    node.input(bytes, {mesh::Way::kOverlay, {address_of(2), 3653}, mesh::Transport::kUdp, 0}, network.now());
  }
  CHECK(node.counters().malformed >= before + 3 * bad.size() - 2);
  CHECK(network.node(1).links_up() == 1);
  network.run(20s);
  CHECK(network.node(1).links_up() == 1);
}

TEST_CASE("trust: over the overlay nobody speaks for another") {
  TestNetwork network;
  network.add(1);
  network.start(1);
  network.run(1s);
  mesh::ControlMessage request;
  request.nonce = 7;
  request.mtu = 1420;
  request.to = prefix_of(1);
  request.contacts = {sealed(contact_of(5), 5)};
  const auto parts = mesh::make_parts(0xF0000002, 0, 0, to_text(request));
  for (const auto& part : parts)
    network.node(1).mesh->input(part, {mesh::Way::kOverlay, {address_of(6), 3653}, mesh::Transport::kUdp, 0},
                                network.now());
  for (const auto& action : network.node(1).mesh->take_actions())
    CHECK_FALSE(std::holds_alternative<mesh::SendDatagram>(action));
  for (const auto& part : parts)
    network.node(1).mesh->input(part, {mesh::Way::kOverlay, {address_of(5), 3653}, mesh::Transport::kUdp, 0},
                                network.now());
  std::size_t answers = 0;
  for (const auto& action : network.node(1).mesh->take_actions())
    answers += std::holds_alternative<mesh::SendDatagram>(action) ? 1 : 0;
  CHECK(answers > 0);
}

TEST_CASE("trust: new parameters reach everybody, old and forged ones nobody") {
  TestNetwork network;
  for (unsigned i = 1; i <= 20; ++i) network.add(i).settings.client_count = 3;
  REQUIRE(network.start_all(10s));
  network.run(10s);
  auto& first = *network.node(1).mesh;
  CHECK_FALSE(first.on_parameters(seal("ca2", kMesh, to_xml(parameters_with(5))), network.now()));
  auto foreign = parameters_with(5);
  foreign.network = *net::Prefix::parse("2001:db8:43::/48");
  CHECK_FALSE(first.on_parameters(seal_parameters(foreign), network.now()));
  CHECK(first.counters().bad_parameters == 2);
  // A long one, of many pieces.
  auto parameters = parameters_with(5);
  for (unsigned i = 1000; i < 1500; ++i) parameters.revoked.insert(serial_of(i));
  REQUIRE(first.on_parameters(seal_parameters(parameters), network.now()));
  CHECK(network.run_until(
      [&] {
        for (unsigned i = 1; i <= 20; ++i) {
          if (network.node(i).mesh->parameters().version != 5) return false;
        }
        return true;
      },
      2s));
  CHECK(network.node(20).mesh->parameters_document() == seal_parameters(parameters));
  CHECK_FALSE(first.on_parameters(seal_parameters(parameters_with(4)), network.now()));
  CHECK_FALSE(first.on_parameters(seal_parameters(parameters_with(5)), network.now()));
  CHECK(first.parameters().revoked.size() == 500);
  // Who was away learns of it with its first link.
  network.add(21);
  network.start(21);
  network.introduce(1, 21);
  CHECK(network.run_until([&] { return network.node(21).mesh->parameters().version == 5; }, 5s));
}

TEST_CASE("trust: a revoked node is cut off at once by everybody, and stays out") {
  TestNetwork network;
  for (unsigned i = 1; i <= 20; ++i) network.add(i).settings.client_count = 4;
  REQUIRE(network.start_all(10s));
  network.run(10s);
  REQUIRE(network.node(7).links_up() > 0);
  // Its own contact does not go to node 7's friends only: some node tells, not the revoked one.
  REQUIRE(network.node(1).mesh->on_parameters(seal_parameters(parameters_with(2, {7})), network.now()));
  CHECK(network.run_until(
      [&] {
        for (unsigned i = 1; i <= 20; ++i) {
          if (i != 7 && network.node(i).is_linked(7)) return false;
        }
        return network.node(20).mesh->parameters().version == 2;
      },
      2s));
  std::size_t reported = 0;
  for (unsigned i = 1; i <= 20; ++i) reported += i == 7 ? 0 : network.node(i).count(NodeEvent::kRevoked);
  CHECK(reported > 0);
  // Started again from its cache.
  const auto cache = network.node(7).mesh->contacts_to_cache();
  network.kill(7);
  network.start(7);
  for (const auto& der : cache) network.node(7).mesh->on_contact(der, false, network.now());
  network.run(60s);
  CHECK(network.node(7).links_up() == 0);
  CHECK(network.node(7).count(NodeEvent::kLinkRefused) > 0);
}

TEST_CASE("trust: a neighbour that promises parameters and has none does not keep the others from telling") {
  TestNetwork network;
  for (unsigned i = 1; i <= 3; ++i) network.add(i);
  for (unsigned i = 1; i <= 3; ++i) network.start(i);
  network.introduce_all();
  REQUIRE(network.run_until([&] { return network.node(1).links_up() == 2; }, 10s));
  auto& node = *network.node(1).mesh;
  LinkId liar = 0;
  for (const auto& [id, side] : network.node(1).links) liar = side.peer == 2 ? id : liar;
  node.input(rudp(mesh::link_echo({false, 0, 0, 1000})), {mesh::Way::kLink, {}, mesh::Transport::kUdp, liar},
             network.now());
  network.run(100ms);
  REQUIRE(network.node(3).mesh->on_parameters(seal_parameters(parameters_with(2)), network.now()));
  CHECK(network.run_until([&] { return node.parameters().version == 2; }, 3s));
}

TEST_CASE("trust: parameters that a neighbour made up are refused, and it is not asked again") {
  TestNetwork network;
  for (unsigned i = 1; i <= 2; ++i) network.add(i);
  for (unsigned i = 1; i <= 2; ++i) network.start(i);
  network.introduce(2, 1);
  REQUIRE(network.run_until([&] { return network.is_connected(); }, 5s));
  auto& node = *network.node(1).mesh;
  const mesh::Path path{mesh::Way::kLink, {}, mesh::Transport::kUdp, node.links()[0].link};
  std::size_t asked = 0;
  network.on_action = [&](TestNode& from, const mesh::Action& action) {
    const auto* send = std::get_if<mesh::SendDatagram>(&action);
    if (from.number != 1 || !send || send->path.way != mesh::Way::kLink) return;
    const auto part = mesh::parse_part(tsp::parse_rudp(send->bytes)->text);
    const auto message = part ? mesh::parse_control(part->bytes) : std::nullopt;
    if (message && message->kind == mesh::ControlKind::kAskParameters) ++asked;
  };
  const auto document = seal("somebody", kMesh, to_xml(parameters_with(1000)));
  for (int i = 0; i < 20; ++i) {
    node.input(rudp(mesh::link_echo({false, 0, 0, 1000})), path, network.now());
    network.run(10ms);
    for (const auto& piece : mesh::parameters_pieces(1000, document, 0)) {
      for (const auto& part : mesh::make_parts(0xF0000009, 0, 0, to_text(piece)))
        node.input(part, path, network.now());
    }
    network.run(1s);
  }
  CHECK(asked == 1);
  CHECK(node.parameters().version == 0);
  CHECK(node.counters().bad_parameters == 1);
  CHECK(network.node(1).count(NodeEvent::kBadParameters) == 1);
  // From whoever signs them they are taken all the same.
  CHECK(node.on_parameters(seal_parameters(parameters_with(3)), network.now()));
}

TEST_CASE("trust: links end with the certificates") {
  TestNetwork network;
  for (unsigned i = 1; i <= 2; ++i) network.add(i);
  REQUIRE(network.start_pair(5s));
  network.run(5s);
  network.node(1).contacts->expired.insert(serial_of(2));
  network.run(2h);
  CHECK(network.node(1).links_up() == 0);
  CHECK(network.node(2).count(NodeEvent::kLinkRefused) > 0);
}

namespace {

// Two that are linked; node 1 knows when node 2's certificate begins and ends.
struct Certified : TestNetwork {
  Certified(mesh::WallTime from, mesh::WallTime until) {
    add(1);
    add(2);
    start(1);
    start(2);
    node(1).contacts->valid[serial_of(2)] = {from, until};
    introduce(2, 1);
    REQUIRE(run_until([&] { return is_connected(); }, 5s));
    run(5s);
  }
  // Node 2 has a certificate that ends then, and tells node 1.
  void renew(mesh::WallTime until) {
    node(1).contacts->valid[serial_of(2)].second = until;
    run(20s);
    node(2).mesh->on_identity(now());
    run(1s);
  }
};

}  // namespace

TEST_CASE("trust: a link ends at the second at which its peer's certificate does") {
  Certified network(kWall - 24h, kWall + 30min);
  const auto left = kWall + 30min - network.now().wall;
  network.run(left - 1s);
  CHECK(network.node(1).links_up() == 1);
  network.run(1100ms);
  CHECK(network.node(1).links_up() == 0);
  CHECK(network.node(1).count(NodeEvent::kBadContact) > 0);
}

TEST_CASE("trust: a link stays when its peer's certificate was renewed, and ends with the new one") {
  Certified network(kWall - 24h, kWall + 30min);
  network.renew(kWall + 90min);
  network.run(kWall + 90min - network.now().wall - 1s);
  CHECK(network.node(1).links_up() == 1);
  CHECK(network.node(1).count(NodeEvent::kLinkLost) == 0);
  network.run(1100ms);
  CHECK(network.node(1).links_up() == 0);
}

TEST_CASE("trust: a certificate whose time has come still counts where another authority vouches for it") {
  Certified network(kWall - 24h, kWall + 30min);
  const auto before = network.node(1).contacts->verified;
  network.node(1).contacts->valid.clear();
  network.run(40min);
  CHECK(network.node(1).links_up() == 1);
  CHECK(network.node(1).contacts->verified > before);
  CHECK(network.node(1).contacts->verified < before + 10);
}

TEST_CASE("trust: a link ends when the clock is set back to before its peer's certificate") {
  Certified network(kWall - 1h, kWall + 24h);
  network.set_clock(-std::chrono::hours(2));
  network.run(6s);
  CHECK(network.node(1).links_up() == 0);
  // And when it is right again they find each other.
  network.set_clock(std::chrono::hours(2));
  CHECK(network.run_until([&] { return network.is_connected(); }, 60s));
}

TEST_CASE("trust: links are looked at again when the network's authorities change") {
  Certified network(kWall - 24h, kWall + 24h);
  auto parameters = parameters_with(2);
  REQUIRE(network.node(1).mesh->on_parameters(seal_parameters(parameters), network.now()));
  network.run(2s);
  CHECK(network.node(1).links_up() == 1);
  // The one that signed node 2's certificate is none any more.
  network.node(1).contacts->expired.insert(serial_of(2));
  network.run(10s);
  CHECK(network.node(1).links_up() == 1);
  parameters.version = 3;
  parameters.authorities = {
      pki::Authority::create(kMesh, "the next", {kWall - 1h, kWall + 24h}).certificate()};
  REQUIRE(network.node(1).mesh->on_parameters(seal_parameters(parameters), network.now()));
  network.run(2s);
  CHECK(network.node(1).links_up() == 0);
}

TEST_CASE("trust: what was signed with a wrong clock is signed anew with the right one") {
  TestNetwork network;
  network.set_clock(-std::chrono::hours(24 * 365));
  network.add(1);
  network.start(1);
  network.run(10s);
  CHECK(network.node(1).mesh->own_contact().contact.expires < kWall);
  network.set_clock(std::chrono::hours(24 * 365));
  // The next thing that happens, at the latest the next timer.
  network.node(1).mesh->on_routes({}, network.now());
  network.run(2s);
  CHECK(network.node(1).mesh->own_contact().contact.expires > kWall + 24h);
  CHECK(network.node(1).signer->signatures == 2);
}

TEST_CASE("trust: the own contact is renewed before it ends, and not signed for nothing") {
  TestNetwork network;
  network.add(1);
  network.start(1);
  network.run(1h);
  CHECK(network.node(1).signer->signatures == 1);
  const auto first = network.node(1).mesh->own_contact().contact;
  CHECK(first.expires - network.now().wall > 5 * 24h);
  CHECK(first.expires - network.now().wall < mesh::Contact::kLongestLife);
  network.run(13h);
  const auto second = network.node(1).mesh->own_contact().contact;
  CHECK(second.sequence > first.sequence);
  CHECK(second.expires > first.expires);
  for (int i = 0; i < 100; ++i) {
    network.node(1).mesh->on_endpoints(
        {contact_endpoint(endpoint("203.0.113.1", static_cast<std::uint16_t>(i + 1)))}, network.now());
    network.run(100ms);
  }
  CHECK(network.node(1).signer->signatures <= 10);
  network.run(15s);
  CHECK(network.node(1).mesh->own_contact().contact.endpoints[0].port == 100);
  network.node(1).mesh->on_identity(network.now());
  network.run(1s);
  CHECK(network.node(1).signer->signatures >= 4);
}
