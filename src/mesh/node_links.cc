// SPDX-License-Identifier: BSD-3-Clause
// Links that are there: from the handshake to their end, and what goes on inside of them.
#include <algorithm>
#include <utility>

#include "src/mesh/node_machine.h"

namespace sixlink::mesh {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// WireGuard repeats a handshake's first message after 5 s: one may be lost.
constexpr seconds kHandshakeTime{12};
// The one who is only waited for had better be patient.
constexpr seconds kExpectedHandshake{15};
// Traffic moves elsewhere within two of Babel's hellos (4 s).
constexpr seconds kRetireTime{10};
constexpr seconds kOthersRetireTime{5};  // more, when it is the other that retires it
// A peer that ended a link is not asked for another one at once.
constexpr seconds kEndedPause{60};
// Between two times that others are told of the same link.
constexpr seconds kToldOthersPause{10};
// A neighbour gets contacts of others when it asks, but not all day.
constexpr seconds kContactsPause{10};
constexpr std::size_t kContactsGiven = 4;
constexpr std::size_t kFewContacts = 32;
// The negotiation came through in UDP and the handshake did not: the next links with that peer go over TCP,
// where both have it.
constexpr std::chrono::minutes kTcpTime{2};
// The same, of ports of the links' own: the next link is made over those that are shared. Shorter, as that
// one comes at once.
constexpr seconds kOwnPortHandshakeTime{3};
constexpr std::chrono::minutes kSharedPortTime{60};
constexpr seconds kReplacedLately{20};
constexpr std::uint32_t kSequenceBits = 0x0FFFFFFF;

}  // namespace

Link* MeshNode::Machine::link_of(LinkId id) {
  const auto found = std::ranges::lower_bound(links_, id, {}, [](const auto& link) { return link->id; });
  return found != links_.end() && (*found)->id == id && !(*found)->is_closed ? found->get() : nullptr;
}

Link* MeshNode::Machine::link_with(const net::Prefix& peer) {
  for (const auto& link : links_) {
    if (!link->is_closed && link->peer == peer) return link.get();
  }
  return nullptr;
}

bool MeshNode::Machine::is_isolated() const {
  return std::ranges::none_of(links_, [](const auto& link) { return !link->is_closed && link->is_up(); });
}

std::size_t MeshNode::Machine::count_links(Purpose purpose) const {
  return static_cast<std::size_t>(std::ranges::count_if(links_, [&](const auto& link) {
    return !link->is_closed && link->purpose == purpose && link->state != LinkState::kRetiring;
  }));
}

void MeshNode::Machine::open_link(const Attempt& attempt, const Path& path, bool is_initiator) {
  auto link = std::make_unique<Link>();
  link->id = ++last_link_;
  link->believe(attempt.contact);
  link->peer = attempt.contact->contact.prefix;
  link->endpoint = path.endpoint;
  link->transport = path.transport;
  link->purpose = attempt.purpose;
  link->is_ours = !attempt.is_incoming;
  link->mtu = attempt.mtu;
  link->since = at_.now;
  link->own_port = attempt.own_port;
  link->peers_port = attempt.peers_port;
  const bool has_own_ports = link->own_port != 0 || link->peers_port != 0;
  link->due = at_.now + (!is_initiator   ? kExpectedHandshake
                         : has_own_ports ? kOwnPortHandshakeTime
                                         : kHandshakeTime);
  auto endpoint = path.endpoint;
  if (link->peers_port != 0) endpoint.port(link->peers_port);
  actions_.push_back(OpenLink{link->id, link->peer, attempt.contact->contact.key, endpoint, path.transport,
                              is_initiator, link->mtu, link->own_port});
  if (auto* entry = book_.find(link->peer)) entry->is_neighbour = true;
  links_.push_back(std::move(link));
}

void MeshNode::Machine::on_handshake(LinkId id, Times at) {
  begin(at);
  auto* link = link_of(id);
  if (!link) return;
  if (link->state == LinkState::kHandshake) {
    link->state = LinkState::kUp;
    link->since = at_.now;
    link->due = TimePoint::max();
    link->monitor.begin(at_.now, random_);
    backoffs_.clear(link->peer);
    if (auto* entry = book_.find(link->peer)) entry->worked = at_.now;
    if (link->own_port != 0 && !link->is_ours) ports_in_vain_ = 0;
    actions_.push_back(UseLink{id});
    report(NodeEvent::kLinkUp, link->peer, {});
    tell_observed(*link);
    if (link->is_ours && book_.size() < std::min(kFewContacts, settings_.most_known)) {
      ControlMessage question;
      question.kind = ControlKind::kAskContacts;
      question.count = kContactsGiven;
      send_in(*link, question);
    }
    ask_pause_ = seconds(0);
    trim();
    if (wanted() > 0) wake_selection(milliseconds(100));
  } else {
    heard(*link);
  }
  finish();
}

void MeshNode::Machine::on_link_failed(LinkId id, const std::string& why, Times at) {
  begin(at);
  auto* link = link_of(id);
  if (!link) return;
  backoffs_.failed(link->peer, at_.now, longest_wait(), random_);
  auto* entry = book_.find(link->peer);
  if (entry && link->own_port != 0) entry->shared_port_until = at_.now + kSharedPortTime;
  close(*link, NodeEvent::kLinkFailed, why);
  finish();
}

void MeshNode::Machine::on_traffic(std::span<const Traffic> traffic, Times at) {
  begin(at);
  // Both are in order, as a rule.
  std::size_t next = 0;
  for (const auto& one : traffic) {
    auto* link =
        next < links_.size() && links_[next]->id == one.link ? links_[next].get() : link_of(one.link);
    ++next;
    if (!link || link->is_closed) continue;
    const bool has_received = one.received > link->received;
    const bool has_sent = one.sent > link->sent;
    link->received = one.received;
    link->sent = one.sent;
    link->bytes = one.bytes;
    if (one.endpoint.port() != 0) saw_at(*link, one.endpoint);
    // What was sent together with the last that was heard may have been sent after it: who only answers has
    // nothing more to send when his peer is dead, and would learn of it when somebody asks another way.
    if (has_received) {
      heard(*link);
    } else if ((has_sent || link->had_sent) && link->is_up()) {
      link->monitor.sent(at_.now);
    }
    link->had_sent = has_sent;
  }
  finish();
}

void MeshNode::Machine::on_routes(std::span<const Reached> reached, Times at) {
  begin(at);
  const bool was_empty = destinations_.size() == 0;
  destinations_.replace(reached, settings_.prefix);
  for (const auto& link : links_) link->routes = 0;
  Link* last = nullptr;
  for (const auto& one : reached) {
    if (one.through == 0) continue;
    if (!last || last->id != one.through) last = link_of(one.through);
    if (last) ++last->routes;
  }
  if (was_empty && destinations_.size() != 0 && wanted() > 0) wake_selection(milliseconds(200));
  finish();
}

void MeshNode::Machine::heard(Link& link) {
  link.monitor.heard(at_.now);
  if (link.state == LinkState::kSuspect) link.state = LinkState::kUp;
}

void MeshNode::Machine::step(Link& link) {
  if (link.is_closed) return;
  if (!link.is_good_at(at_.wall)) {
    recheck(link);
    if (link.is_closed) return;
  }
  if (link.is_up()) {
    const auto verdict = link.monitor.tick(at_.now, was_late(), random_);
    if (verdict == LinkMonitor::Verdict::kAsk) {
      ask(link);
    } else if (verdict == LinkMonitor::Verdict::kDead) {
      backoffs_.failed(link.peer, at_.now, longest_wait(), random_);
      close(link, NodeEvent::kLinkLost, "no answer to the last echoes");
    }
    return;
  }
  if (at_.now < link.due) return;
  if (link.state == LinkState::kRetiring) {
    ControlMessage end;
    end.kind = ControlKind::kDelete;
    send_in(link, end);
    const bool moves = is_near(link.peer);
    if (!moves) backoffs_.hold(link.peer, at_.now + kEndedPause, random_);
    close(link, NodeEvent::kLinkClosed, moves ? "there is a shorter way to it" : "others are more useful");
    return;
  }
  if (link.is_ours && (link.own_port != 0 || link.peers_port != 0)) {
    if (auto* entry = book_.find(link.peer)) entry->shared_port_until = at_.now + kSharedPortTime;
    close(link, NodeEvent::kLinkFailed,
          "no handshake between ports of the link's own: it is made over the shared ones");
    if (!is_client_only()) start_attempt(link.peer, link.purpose);
    return;
  }
  without_handshake(link);
  if (link.is_ours) {
    backoffs_.failed(link.peer, at_.now, longest_wait(), random_);
    auto* entry = book_.find(link.peer);
    if (entry && link.transport == Transport::kUdp) entry->tcp_until = at_.now + kTcpTime;
  }
  close(link, NodeEvent::kLinkFailed,
        "no handshake: something between drops WireGuard's messages, or the "
        "other has ended");
}

void MeshNode::Machine::ask(Link& link) {
  if (link.monitor.is_suspect() && link.state != LinkState::kSuspect) {
    link.state = LinkState::kSuspect;
    have_others_ask(link);
  }
  send({Way::kLink, {}, Transport::kUdp, link.id}, link.monitor.echo_sequence() & kSequenceBits,
       link_echo({false, 0, 0, parameters_.version}));
}

// Who has no traffic with a dead peer learns late of it, and until then leads others' packets, and their
// questions for another way, to it.
void MeshNode::Machine::have_others_ask(Link& suspect) {
  if (suspect.told_others != TimePoint::min() && at_.now - suspect.told_others < kToldOthersPause) return;
  const auto is_up = [](const auto& link) { return !link->is_closed && link->is_up(); };
  const auto up = std::ranges::count_if(links_, is_up);
  const auto silent = std::ranges::count_if(
      links_, [&](const auto& link) { return is_up(link) && link->state == LinkState::kSuspect; });
  // So many at once are no fault of theirs, but of what this node is connected by.
  if (2 * silent > up) return;
  suspect.told_others = at_.now;
  ControlMessage message;
  message.kind = ControlKind::kAskLink;
  message.to = suspect.peer;
  for (const auto& link : links_) {
    if (is_up(link) && link->state != LinkState::kSuspect) send_in(*link, message);
  }
}

void MeshNode::Machine::close(Link& link, NodeEvent event, const std::string& why) {
  link.is_closed = true;
  actions_.push_back(CloseLink{link.id});
  report(event, link.peer, why);
  if (auto* entry = book_.find(link.peer)) {
    entry->is_neighbour = false;
    if (link.is_up() || link.state == LinkState::kRetiring) entry->worked = at_.now;
  }
  wake_selection(milliseconds(150));
  if (is_isolated()) ask_due_ = std::min(ask_due_, at_.now + random_.jitter(seconds(2), 0.5, 1.5));
  // It began anew a moment ago, and was told that the link is there.
  if (event == NodeEvent::kLinkLost && link.replaced != TimePoint::min() &&
      at_.now - link.replaced < kReplacedLately && !is_client_only()) {
    backoffs_.clear(link.peer);
    start_attempt(link.peer, link.purpose == Purpose::kServed ? Purpose::kRandom : link.purpose);
  }
}

void MeshNode::Machine::retire(Link& link) {
  link.state = LinkState::kRetiring;
  link.due = at_.now + kRetireTime;
  actions_.push_back(RaiseCost{link.id});
  ControlMessage notice;
  notice.kind = ControlKind::kDelete;
  notice.delay = kRetireTime;
  send_in(link, notice);
}

void MeshNode::Machine::in_link(Link& link, std::string_view text, std::uint32_t sequence, const Path& from) {
  heard(link);
  if (const auto echo = parse_link_echo(text)) {
    if (echo->is_response) {
      link.monitor.answered(sequence & kSequenceBits, at_.now);
      // What was sent while the network changed may be lost; this gets there.
      if (link.is_place_asked) {
        ControlMessage question;
        question.kind = ControlKind::kAskContacts;
        question.count = 0;
        send_in(link, question);
      }
    } else {
      send(from, sequence, link_echo({true, 0, 0, parameters_.version}));
    }
    saw_version(link, echo->version);
    return;
  }
  const auto part = parse_part(text);
  if (!part) return malformed(from);
  const auto whole = reassembler_.add(from, sequence, *part, at_.now);
  if (!whole) return;
  const auto message = parse_control(*whole);
  if (!message) return malformed(from);
  link_message(link, *message);
}

void MeshNode::Machine::link_message(Link& link, const ControlMessage& message) {
  switch (message.kind) {
    case ControlKind::kDelete:
      end_by_peer(link, message.delay);
      return;
    case ControlKind::kAskLink:
      if (auto* other = link_with(*message.to); other && other != &link && other->is_up())
        other->monitor.suspected(at_.now);
      return;
    case ControlKind::kAskContacts:
      if (message.count == 0) {
        tell_observed(link);
      } else {
        give_contacts(link, message.count);
      }
      return;
    case ControlKind::kContacts:
      if (message.observed && link.transport == Transport::kUdp) {
        link.is_place_asked = false;
        on_observed(link.endpoint.address(), *message.observed);
      }
      for (const auto& der : message.contacts) {
        if (!creates_.take(node_address(link.peer), at_.now, random_)) {
          ++counters_.rate_limited;
          return;
        }
        ContactRef contact;
        take_contact(der, contact);
        if (link.is_closed) return;
      }
      return;
    case ControlKind::kAskParameters:
      if (message.version != parameters_.version) return;
      for (const auto& piece : parameters_pieces(parameters_.version, parameters_der_, message.offset))
        send_in(link, piece);
      return;
    case ControlKind::kParameters:
      take_piece(link, message);
      return;
    case ControlKind::kCreate:
    case ControlKind::kAnswer:
      // Those come from outside.
      return malformed({Way::kLink, {}, Transport::kUdp, link.id});
  }
}

void MeshNode::Machine::end_by_peer(Link& link, seconds delay) {
  if (!is_near(link.peer)) backoffs_.hold(link.peer, at_.now + kEndedPause, random_);
  if (delay.count() == 0) return close(link, NodeEvent::kLinkClosed, "the other ended it");
  if (!link.is_up()) return;
  link.state = LinkState::kRetiring;
  link.due = at_.now + delay + kOthersRetireTime;
  actions_.push_back(RaiseCost{link.id});
  if (wanted() > 0) wake_selection(milliseconds(500));
}

// Who did not ask for the link, or asked over the overlay, has not heard where it is seen. One mapping for
// all destinations, or one for each: that takes several words.
void MeshNode::Machine::tell_observed(Link& link) {
  if (!may_tell_place(link)) return;
  ControlMessage message;
  message.kind = ControlKind::kContacts;
  message.observed = link.endpoint;
  send_in(link, message);
}

bool MeshNode::Machine::may_tell_place(const Link& link) const {
  const auto& address = link.endpoint.address();
  return link.transport == Transport::kUdp && !(address.is_v6() && address.to_v6().is_link_local());
}

// The peer has another address, or its NAT another mapping: nobody else tells it so.
void MeshNode::Machine::saw_at(Link& link, const Endpoint& endpoint) {
  if (!link.is_up() || !may_tell_place(link)) return;
  auto& port_then = link.peers_port;
  const auto port = port_then != 0 ? port_then : link.endpoint.port();
  if (endpoint.address() == link.endpoint.address() && endpoint.port() == port) return;
  if (endpoint.address().is_v6() && endpoint.address().to_v6().is_link_local()) return;
  link.endpoint.address(endpoint.address());
  if (port_then == 0) {
    link.endpoint.port(endpoint.port());
  } else if (port_then != endpoint.port()) {
    // A NAT gave the link's own port another number: which one the shared port has there is not known.
    port_then = endpoint.port();
    return;
  }
  tell_observed(link);
}

void MeshNode::Machine::give_contacts(Link& link, std::size_t count) {
  if (at_.now < link.contacts_due) return;
  link.contacts_due = at_.now + kContactsPause;
  ControlMessage answer;
  answer.kind = ControlKind::kContacts;
  answer.contacts = some_contacts(std::min(count, kContactsGiven), link.peer);
  if (!answer.contacts.empty()) send_in(link, answer);
}

// For somebody who knows few: what nobody can reach is of no use to him.
std::vector<std::vector<std::uint8_t>> MeshNode::Machine::some_contacts(std::size_t count,
                                                                        const net::Prefix& whom) {
  std::vector<std::vector<std::uint8_t>> some;
  if (book_.size() == 0) return some;
  const auto first = random_.below(book_.size());
  for (std::size_t i = 0; i < book_.size() && some.size() < count; ++i) {
    const auto& contact = *book_.at((first + i) % book_.size()).contact;
    if (contact.contact.prefix != whom && !contact.contact.endpoints.empty() &&
        contact.contact.expires > at_.wall)
      some.push_back(contact.der);
  }
  return some;
}

// Certificates end, and a contact that its node does not renew says that the node's has. Another authority
// may have vouched for it in the meantime, or not do so any more.
void MeshNode::Machine::recheck(Link& link) {
  auto opened = verifier_.open(link.contact->der, at_.wall);
  if (opened.contact && opened.contact->is_good_at(at_.wall)) {
    link.believe(std::move(opened.contact));
    return;
  }
  close(link, NodeEvent::kBadContact, opened.problem);
  book_.remove(link.peer);
}

void MeshNode::Machine::recheck_links() {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (!links_[i]->is_closed) recheck(*links_[i]);
  }
  book_.remove_if([&](const ContactBook::Entry& entry) {
    return !entry.is_neighbour &&
           (entry.contact->contact.expires <= at_.wall || entry.contact->good_until <= at_.wall);
  });
}

}  // namespace sixlink::mesh
