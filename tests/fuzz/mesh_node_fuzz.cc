// SPDX-License-Identifier: BSD-3-Clause
// Control messages of nodes, and a node that gets them from everywhere: from strangers, out of its links,
// over the overlay. A record is a byte (what happens, and to whom) and what comes.
#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "src/mesh/control_message.h"
#include "src/mesh/control_parts.h"
#include "src/mesh/node.h"
#include "src/tsp/rudp.h"
#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {
namespace {

using namespace std::chrono_literals;

// Whoever writes a contact has signed it: what is behind the signatures is to be reached.
class Contacts final : public mesh::ContactVerifier, public mesh::ContactSigner {
 public:
  mesh::OpenedContact open(std::span<const std::uint8_t> der, mesh::WallTime now) const override {
    const auto parsed = mesh::parse_contact(text_of(der));
    if (!parsed.contact) return {nullptr, parsed.problem};
    if (parsed.contact->expires <= now) return {nullptr, "it has expired"};
    return {std::make_shared<const mesh::SignedContact>(
                mesh::SignedContact{{der.begin(), der.end()}, *parsed.contact, "0a"}),
            {}};
  }
  mesh::SignedContact sign(const mesh::Contact& contact) const override {
    const auto text = to_xml(contact);
    return {{text.begin(), text.end()}, contact, "0b"};
  }
};

class Parameters final : public mesh::ParametersVerifier {
 public:
  mesh::ParsedParameters open(std::span<const std::uint8_t> der, mesh::WallTime) const override {
    return mesh::parse_parameters(text_of(der));
  }
};

struct Edge {
  Contacts contacts;
  Parameters parameters;
  mesh::MeshNode::Times now{mesh::TimePoint(1000s), mesh::WallTime(1772366400s)};
  std::unique_ptr<mesh::MeshNode> node;
  std::set<mesh::LinkId> open;
  std::set<mesh::LinkId> used;
  std::optional<std::uint64_t> cookie;

  Edge() {
    mesh::NodeSettings settings;
    settings.prefix = *net::Prefix::parse("2001:db8:42:1::/64");
    settings.most_known = 16;
    pki::WireguardKey key;
    key.bytes.fill(3);
    node = std::make_unique<mesh::MeshNode>(settings, key, contacts, contacts, parameters, 1, now);
    node->on_endpoints({{boost::asio::ip::make_address("198.51.100.1"), 3653, mesh::Transport::kUdp,
                         mesh::EndpointKind::kPublic}},
                       now);
  }

  void act() {
    for (const auto& action : node->take_actions()) {
      if (const auto* send = std::get_if<mesh::SendDatagram>(&action)) {
        expect(send->bytes.size() <= 1232, "datagrams fit");
        if (send->path.way == mesh::Way::kLink) expect(open.contains(send->path.link), "its link is open");
        const auto message = tsp::parse_rudp(send->bytes);
        expect(message.has_value(), "what it sends is RUDP");
        const auto echo = mesh::parse_outer_echo(message->text);
        if (echo && echo->is_response) cookie = echo->cookie;
      } else if (const auto* opened = std::get_if<mesh::OpenLink>(&action)) {
        expect(open.insert(opened->link).second, "a link is opened once");
        expect(opened->mtu >= 1280, "a link's MTU is IPv6's at least");
      } else if (const auto* use = std::get_if<mesh::UseLink>(&action)) {
        expect(open.contains(use->link) && used.insert(use->link).second, "a link is used once, when open");
      } else if (const auto* raise = std::get_if<mesh::RaiseCost>(&action)) {
        expect(used.contains(raise->link), "a link retires after it was used");
      } else if (const auto* closed = std::get_if<mesh::CloseLink>(&action)) {
        expect(open.erase(closed->link) == 1, "a link is closed once, when open");
      }
    }
    expect(open.size() <= 64, "links are bounded");
    expect(node->known_contacts() <= 16 + open.size(), "contacts are bounded");
    std::set<std::string> peers;
    for (const auto& link : node->links()) {
      if (link.link != 0) expect(peers.insert(link.peer.to_string()).second, "one link with each peer");
    }
  }

  void pass(std::chrono::milliseconds time) {
    now.now += time;
    now.wall += time;
    for (int i = 0; i < 100 && node->deadline() <= now.now; ++i) {
      node->tick(now);
      act();
    }
    expect(node->deadline() > now.now, "ticks come to an end");
  }

  mesh::Path from(unsigned who, mesh::Way way) const {
    mesh::Path path;
    path.way = way;
    const auto last = std::to_string(2 + who % 4);
    if (way == mesh::Way::kOuter) path.endpoint = {boost::asio::ip::make_address("198.51.100." + last), 3653};
    if (way == mesh::Way::kOverlay)
      path.endpoint = {boost::asio::ip::make_address("2001:db8:42:" + last + "::1"), 3653};
    if (way == mesh::Way::kLink) path.link = open.empty() ? 1 : *std::next(open.begin(), who % open.size());
    if (who & 4) path.transport = way == mesh::Way::kOuter ? mesh::Transport::kTcp : mesh::Transport::kUdp;
    return path;
  }

  // As somebody who knows how it is done.
  void message(unsigned who, mesh::Way way, std::string_view text) {
    const auto path = from(who, way);
    if (way == mesh::Way::kOuter) {
      cookie.reset();
      node->input(tsp::make_rudp({0xF0000001, 0}, mesh::outer_echo({false, 7, 0, 0})), path, now);
      act();
    }
    for (const auto& part : mesh::make_parts(0xF0000002, 0, cookie.value_or(0), text)) {
      node->input(part, path, now);
      act();
    }
  }

  void step(unsigned what, Input bytes) {
    const unsigned who = what >> 4;
    const auto reached = {mesh::Reached{*net::Prefix::parse("2001:db8:42:3::/64"), 0},
                          mesh::Reached{*net::Prefix::parse("2001:db8:42:4::/64"), 1}};
    switch (what & 15) {
      case 0:
      case 1:
      case 2:
        node->input(bytes, from(who, static_cast<mesh::Way>(what & 3)), now);
        break;
      case 3:
      case 4:
      case 5:
        message(who, static_cast<mesh::Way>((what & 15) - 3), text_of(bytes));
        break;
      case 6:
        pass(std::chrono::milliseconds(10) * (bytes.empty() ? 1 : bytes[0]) * (who + 1));
        break;
      case 7:
        for (const auto link : std::set<mesh::LinkId>(open)) node->on_handshake(link, now);
        break;
      case 8:
        node->on_contact(bytes, (who & 1) != 0, now, from(who, mesh::Way::kOuter).endpoint);
        break;
      case 9:
        node->on_parameters(bytes, now);
        break;
      case 10:
        node->on_routes(reached, now);
        break;
      case 11:
        if (!open.empty()) node->on_link_failed(*open.begin(), "it failed", now);
        break;
      case 12:
        node->on_network_change(now);
        break;
      default:
        for (const auto link : open) {
          const mesh::Traffic traffic{link, who, bytes.size() + what, bytes.size()};
          node->on_traffic({&traffic, 1}, now);
        }
    }
    act();
  }
};

}  // namespace

void mesh_node(Input input) {
  if (const auto message = mesh::parse_control(text_of(input))) {
    expect(message->contacts.size() <= mesh::ControlMessage::kMostContacts, "contacts are bounded");
    expect(mesh::parse_control(to_text(*message)) == message, "a message survives its text");
  }
  Edge edge;
  edge.pass(500ms);
  Records records(input);
  for (int i = 0; i < 200 && !records.is_empty(); ++i) {
    const unsigned what = records.byte();
    edge.step(what, records.next());
  }
  edge.pass(std::chrono::minutes(2));
  edge.node->leave(edge.now);
  edge.act();
  expect(edge.open.empty(), "who leaves closes all links");
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(mesh_node)
