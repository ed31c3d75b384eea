// SPDX-License-Identifier: BSD-3-Clause
// Requests for a link: who gets one, and what happens to the link that is there.
#include <algorithm>
#include <utility>

#include "src/mesh/node_machine.h"
#include "src/tsp/status.h"

namespace sixlink::mesh {
namespace {

using std::chrono::seconds;

constexpr std::size_t kMostIncoming = 16;  // of hole punching
constexpr std::size_t kKeptPlaces = 4;     // one of so many is not for everybody
constexpr seconds kRoomPause{2};           // before another place is made for somebody
constexpr seconds kServedAtLeast{10};      // who has been served for less is not asked to go
constexpr std::size_t kContactsInstead = 3;
constexpr seconds kReplaceEvery{30};  // how often a peer may say that it begins anew
constexpr seconds kReplacedTime{15};  // for its handshake then
// A handshake takes a round trip. Who has not begun it after so long leaves his place to others.
constexpr seconds kProvedWithin{3};
// After so many links whose own port nobody came to, all are made over the shared one: a firewall here.
constexpr unsigned kMostInVain = 2;
constexpr std::chrono::minutes kSharedPortTime{60};

}  // namespace

void MeshNode::Machine::on_create(const ControlMessage& message, const Path& from, std::uint32_t sequence) {
  if (!creates_.take(from.endpoint.address(), at_.now, random_)) {
    ++counters_.rate_limited;
    return;
  }
  ContactRef contact;
  const int status = judge_create(message, from, contact);
  if (status == 0) return;
  if (status == tsp::kSuccess) return accept(message, from, contact, sequence);
  ++counters_.refused;
  std::vector<std::vector<std::uint8_t>> contacts;
  if (status == tsp::kRequestInProgress) contacts.push_back(contact->der);
  // Somebody who knows nobody else would wait for ever.
  if (status == tsp::kNoTunnelsLeft) contacts = some_contacts(kContactsInstead, contact->contact.prefix);
  answer(message, from, sequence, status, std::move(contacts));
}

int MeshNode::Machine::judge_create(const ControlMessage& message, const Path& from, ContactRef& contact) {
  if (is_client_only()) return tsp::kModeNotSupported;
  if (message.to && *message.to != settings_.prefix) return tsp::kInvalidIpv6;
  switch (take_contact(message.contacts.front(), contact)) {
    case Trust::kBad:
      return tsp::kAuthenticationFailed;
    case Trust::kOwn:
      return 0;
    case Trust::kOld:
      return tsp::kRequestInProgress;
    case Trust::kGood:
      break;
  }
  const auto& peer = contact->contact.prefix;
  if (from.way == Way::kOverlay && from.endpoint.address() != node_address(peer)) {
    malformed(from);
    return 0;
  }
  const auto* link = link_with(peer);
  const auto* ours = attempt_for(peer);
  // Nothing more is opened for a link that is there, nor where the one that we began stays.
  const bool has_place = (link && link->state != LinkState::kRetiring) ||
                         (ours && (ours->is_incoming || PackedPrefix(settings_.prefix) < PackedPrefix(peer)));
  if (has_place || purpose_of(peer) != Purpose::kServed) return tsp::kSuccess;
  const auto count = std::max<std::size_t>(1, client_count());
  const auto most = settings_.most_served != 0 ? settings_.most_served : 2 * count;
  const auto incoming = static_cast<std::size_t>(std::ranges::count_if(
      attempts_, [](const auto& attempt) { return !attempt->is_done && attempt->is_incoming; }));
  // Nodes behind symmetric NATs, or without UDP, can only be served by few: others leave them some places.
  const bool is_choosy = from.transport == Transport::kTcp || contact->contact.nat == NatKind::kDependent;
  const auto places = is_choosy ? most : most - most / kKeptPlaces;
  if (count_links(Purpose::kServed) + incoming < places && incoming < kMostIncoming) return tsp::kSuccess;
  if (incoming < kMostIncoming && close_unproved()) return tsp::kSuccess;
  if (message.is_alone && make_room()) return tsp::kSuccess;
  report(NodeEvent::kServedFull, peer, "as many as may be: " + std::to_string(most));
  return tsp::kNoTunnelsLeft;
}

// A contact is no secret: who sends one may have heard it somewhere, and have no key for a handshake.
bool MeshNode::Machine::close_unproved() {
  for (const auto& link : links_) {
    if (link->is_closed || link->purpose != Purpose::kServed || link->state != LinkState::kHandshake ||
        at_.now - link->since < kProvedWithin)
      continue;
    close(*link, NodeEvent::kLinkFailed, "no handshake, and others ask for its place");
    return true;
  }
  return false;
}

// Somebody has no link at all: one who is served and can find another link leaves his place. A liar gets no
// more than a link now and then.
bool MeshNode::Machine::make_room() {
  if (at_.now < room_due_) return false;
  Link* oldest = nullptr;
  for (const auto& link : links_) {
    if (link->is_closed || !link->is_up() || link->purpose != Purpose::kServed ||
        at_.now - link->since < kServedAtLeast || link->transport == Transport::kTcp ||
        link->contact->contact.nat == NatKind::kDependent)
      continue;
    if (!oldest || link->since < oldest->since) oldest = link.get();
  }
  if (!oldest) return false;
  room_due_ = at_.now + kRoomPause;
  retire(*oldest);
  return true;
}

Purpose MeshNode::Machine::purpose_of(const net::Prefix& peer) const {
  if (std::ranges::find(settings_.neighbours, peer) != settings_.neighbours.end()) return Purpose::kFixed;
  return std::ranges::find(near_, peer) != near_.end() ? Purpose::kNear : Purpose::kServed;
}

void MeshNode::Machine::accept(const ControlMessage& message, const Path& from, const ContactRef& contact,
                               std::uint32_t sequence) {
  const auto& peer = contact->contact.prefix;
  auto* const link = link_with(peer);
  if (link && !begins_anew(*link, message, contact, from)) {
    keep(*link);
    return answer(message, from, sequence, tsp::kSuccess, {}, link->own_port);
  }
  // Who meant it asks again.
  if (from.way == Way::kOuter && !opens_.take(from.endpoint.address(), at_.now, random_)) {
    ++counters_.rate_limited;
    return;
  }
  if (link && link->state == LinkState::kHandshake && !message.takes_any_port) without_handshake(*link);
  if (link) close(*link, NodeEvent::kLinkClosed, "its node begins anew");
  if (auto* ours = attempt_for(peer)) {
    if (!ours->is_incoming && yields_to_ours(*ours, contact, from)) return;
    // A copy of what is being answered.
    if (ours->is_incoming && ours->nonce == message.nonce && from.way == Way::kOverlay)
      return answer(message, from, sequence, tsp::kSuccess, {});
    ours->is_done = true;
  }
  auto made = std::make_unique<Attempt>();
  auto& incoming = *made;
  incoming.nonce = message.nonce;
  incoming.sequence = next_sequence();
  incoming.peer = peer;
  incoming.purpose = purpose_of(peer);
  incoming.is_incoming = true;
  incoming.contact = contact;
  incoming.mtu = std::min(settings_.mtu, message.mtu);
  if (from.way == Way::kOuter) {
    // Before the answer: the handshake begins with that.
    if (from.transport == Transport::kUdp) {
      incoming.peers_port = message.own_port;
      const auto nat = endpoints_.nat();
      const bool is_open =
          settings_.own_ports == OwnPorts::kDirectly || (settings_.own_ports == OwnPorts::kInTheOpen &&
                                                         (nat == NatKind::kUnknown || nat == NatKind::kNone));
      if (is_open && message.takes_any_port && at_.now >= shared_port_until_) incoming.own_port = new_port();
    }
    open_link(incoming, from, false);
    return answer(message, from, sequence, tsp::kSuccess, {}, incoming.own_port);
  }
  answer(message, from, sequence, tsp::kSuccess, {});
  incoming.phase = Attempt::Phase::kPunch;
  incoming.candidates = candidates_of(*contact);
  attempts_.push_back(std::move(made));
  step(incoming);
}

// Both chose each other at once: what the lower prefix began stays. True: that is ours.
bool MeshNode::Machine::yields_to_ours(Attempt& ours, const ContactRef& contact, const Path& from) {
  if (PackedPrefix(settings_.prefix) > PackedPrefix(contact->contact.prefix)) return false;
  if (from.way != Way::kOuter) return true;
  // It can be reached where this came from, whatever it says of its endpoints.
  const Attempt::Candidate candidate{from.endpoint, from.transport};
  const bool is_known = std::ranges::find(ours.candidates, candidate) != ours.candidates.end();
  if (ours.phase == Attempt::Phase::kCreate || (ours.phase == Attempt::Phase::kPing && is_known)) return true;
  ours.phase = Attempt::Phase::kPing;
  ours.contact = contact;
  ours.candidates = {candidate};
  ours.tries = 0;
  step(ours);
  return true;
}

// A peer asks for the link that is there. It may have been started anew, or be somebody who repeats what he
// saw: the link stays as it is, and as long as its peer answers.
bool MeshNode::Machine::begins_anew(const Link& link, const ControlMessage& message,
                                    const ContactRef& contact, const Path& from) const {
  const bool is_another_way = from.way == Way::kOuter && link.endpoint != from.endpoint;
  const bool is_another_port = from.way == Way::kOuter && (link.peers_port != message.own_port ||
                                                           (link.own_port != 0 && !message.takes_any_port));
  return link.contact->contact.key != contact->contact.key || link.state == LinkState::kRetiring ||
         (link.state == LinkState::kHandshake && !link.is_ours && (is_another_way || is_another_port));
}

void MeshNode::Machine::keep(Link& link) {
  if (link.replaced != TimePoint::min() && at_.now - link.replaced < kReplaceEvery) return;
  link.replaced = at_.now;
  if (link.state == LinkState::kHandshake) {
    link.due = at_.now + kReplacedTime;
  } else {
    link.monitor.heard(at_.now);
  }
}

// Nobody came to the port of its own.
void MeshNode::Machine::without_handshake(Link& link) {
  if (link.own_port == 0 || link.is_ours || ++ports_in_vain_ < kMostInVain) return;
  ports_in_vain_ = 0;
  shared_port_until_ = at_.now + kSharedPortTime;
}

void MeshNode::Machine::answer(const ControlMessage& request, const Path& to, std::uint32_t sequence,
                               int status, std::vector<std::vector<std::uint8_t>> contacts,
                               std::uint16_t own_port) {
  ControlMessage message;
  message.kind = ControlKind::kAnswer;
  message.status = status;
  message.nonce = request.nonce;
  if (status == tsp::kSuccess) {
    ensure_own();
    message.mtu = std::min(settings_.mtu, request.mtu);
    message.contacts = {own_->der};
    if (to.way == Way::kOuter) message.own_port = own_port;
  } else {
    message.contacts = std::move(contacts);
  }
  // Of the local network: it means something there alone, and its text has a zone.
  const bool is_near = to.endpoint.address().is_v6() && to.endpoint.address().to_v6().is_link_local();
  if (to.way == Way::kOuter && !is_near) message.observed = to.endpoint;
  send_message(to, sequence, 0, message);
}

}  // namespace sixlink::mesh
