// SPDX-License-Identifier: BSD-3-Clause
// From a peer to a link: finding a way to it, and agreeing.
#include <algorithm>
#include <array>
#include <utility>

#include "src/mesh/node_machine.h"
#include "src/tsp/status.h"

namespace sixlink::mesh {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// When to ask again, and after the last how long to wait.
constexpr std::array<milliseconds, 3> kPingWaits{milliseconds(400), milliseconds(700), milliseconds(1200)};
// A TCP and a TLS handshake come before.
constexpr std::array<milliseconds, 4> kPingWaitsTcp{milliseconds(400), milliseconds(700), milliseconds(1500),
                                                    milliseconds(3000)};
constexpr std::array<milliseconds, 3> kCreateWaits{milliseconds(1000), milliseconds(2000),
                                                   milliseconds(3000)};
// A NAT lets the other's through when ours has gone out: the first ones are lost.
constexpr std::array<milliseconds, 7> kPunchWaits{milliseconds(150), milliseconds(250),  milliseconds(400),
                                                  milliseconds(700), milliseconds(1000), milliseconds(1500),
                                                  milliseconds(2000)};
constexpr std::size_t kMostCandidates = 12;
constexpr std::size_t kMostIncoming = 16;  // of hole punching
constexpr std::size_t kKeptPlaces = 4;     // one of so many is not for everybody
constexpr seconds kRoomPause{2};           // before another place is made for somebody
constexpr seconds kServedAtLeast{10};      // who has been served for less is not asked to go
constexpr std::uint16_t kOverlayPort = 3653;
constexpr seconds kEpoch{60};      // of cookies: good for one to two of them
constexpr seconds kFullPause{30};  // before somebody is asked again who serves enough
constexpr std::size_t kContactsInstead = 3;
constexpr seconds kGoodFor{60};
constexpr seconds kReplaceEvery{30};  // how often a peer may say that it begins anew

bool is_direct(EndpointKind kind) {
  return kind == EndpointKind::kPublic || kind == EndpointKind::kMapped;
}

}  // namespace

// ---- contacts ----

bool MeshNode::Machine::is_revoked(const SignedContact& contact) const {
  return parameters_.revoked.contains(contact.serial);
}

MeshNode::Machine::Trust MeshNode::Machine::take_contact(std::span<const std::uint8_t> der,
                                                         ContactRef& contact) {
  // What was good a moment ago: requests are repeated.
  if (auto known = book_.find_signed(der, at_.now - kGoodFor);
      known && known->contact.expires > at_.wall && !is_revoked(*known)) {
    contact = std::move(known);
    return Trust::kGood;
  }
  auto opened = verifier_.open(der, at_.wall);
  if (opened.contact && is_revoked(*opened.contact)) {
    opened.problem =
        "the contact of " + opened.contact->contact.prefix.to_string() + ": its certificate was revoked";
    opened.contact.reset();
  }
  if (!opened.contact) {
    ++counters_.bad_contacts;
    report(NodeEvent::kBadContact, std::nullopt, opened.problem);
    return Trust::kBad;
  }
  const auto prefix = opened.contact->contact.prefix;
  if (prefix == settings_.prefix) {
    take_own(*opened.contact);
    return Trust::kOwn;
  }
  const auto taken = book_.take(*std::move(opened.contact), at_.now, random_);
  const auto* entry = book_.find(prefix);
  // A book without room for it.
  if (!entry) return Trust::kBad;
  contact = entry->contact;
  if (taken == ContactBook::Taken::kOld) {
    ++counters_.old_contacts;
    return Trust::kOld;
  }
  if (auto* link = link_with(prefix); link && link->contact->contact.key == contact->contact.key) {
    link->contact = contact;
    book_.find(prefix)->is_neighbour = true;
  }
  return Trust::kGood;
}

bool MeshNode::Machine::is_endpoint_usable(const Endpoint& endpoint) const {
  const auto& address = endpoint.address();
  if (endpoint.port() == 0) return false;
  // What is inside of the network is no way to carry it.
  if (address.is_v6() && settings_.prefix.contains(address.to_v6())) return false;
  return parameters_.version == 0 || !address.is_v6() || !parameters_.network.contains(address.to_v6());
}

bool MeshNode::Machine::may_use(Transport transport) const {
  return std::ranges::find(settings_.transports, transport) != settings_.transports.end();
}

std::vector<Attempt::Candidate> MeshNode::Machine::candidates_of(const SignedContact& contact) const {
  std::vector<Attempt::Candidate> candidates;
  const auto own = endpoints_.list();
  const auto is_behind_our_address = [&](const boost::asio::ip::address& address) {
    return std::ranges::any_of(own, [&](const ContactEndpoint& one) {
      return one.kind != EndpointKind::kLocal && one.address == address;
    });
  };
  const bool is_near = std::ranges::any_of(contact.contact.endpoints, [&](const ContactEndpoint& one) {
    return one.kind != EndpointKind::kLocal && is_behind_our_address(one.address);
  });
  for (const auto& one : contact.contact.endpoints) {
    const Attempt::Candidate candidate{{one.address, one.port}, one.transport};
    if (!may_use(one.transport) || !is_endpoint_usable(candidate.endpoint)) continue;
    // A private address means something only behind the same NAT.
    if (one.kind == EndpointKind::kLocal && !is_near) continue;
    const bool is_ours = std::ranges::any_of(own, [&](const ContactEndpoint& mine) {
      return mine.address == one.address && mine.port == one.port && mine.transport == one.transport;
    });
    if (!is_ours && !is_anothers(candidate, contact.contact.prefix)) candidates.push_back(candidate);
  }
  return candidates;
}

// At that endpoint is somebody else whom we have a link with: behind many NATs are the same addresses. A link
// to there would take that one's datagrams.
bool MeshNode::Machine::is_anothers(const Attempt::Candidate& candidate, const net::Prefix& peer) const {
  return std::ranges::any_of(links_, [&](const auto& link) {
    return !link->is_closed && link->peer != peer && link->endpoint == candidate.endpoint &&
           link->transport == candidate.transport;
  });
}

// ---- the one who begins ----

Attempt* MeshNode::Machine::attempt_with(std::uint64_t nonce) {
  for (const auto& attempt : attempts_) {
    if (!attempt->is_done && attempt->nonce == nonce) return attempt.get();
  }
  return nullptr;
}

Attempt* MeshNode::Machine::attempt_for(const net::Prefix& peer) {
  for (const auto& attempt : attempts_) {
    if (!attempt->is_done && attempt->peer == peer) return attempt.get();
  }
  return nullptr;
}

void MeshNode::Machine::start_attempt(const std::optional<net::Prefix>& peer, Purpose purpose) {
  auto made = std::make_unique<Attempt>();
  auto& attempt = *made;
  attempts_.push_back(std::move(made));
  attempt.nonce = random_();
  attempt.sequence = next_sequence();
  attempt.peer = peer;
  attempt.purpose = purpose;
  attempt.mtu = settings_.mtu;
  attempt.due = at_.now;
  if (!peer) {
    for (const auto transport : settings_.transports)
      attempt.candidates.push_back({*settings_.client_only, transport});
    return step(attempt);
  }
  const auto* entry = book_.find(*peer);
  if (entry && entry->contact->contact.expires > at_.wall) {
    attempt.contact = entry->contact;
    attempt.candidates = candidates_of(*entry->contact);
    const bool has_tcp = std::ranges::find(attempt.candidates, Transport::kTcp,
                                           &Attempt::Candidate::transport) != attempt.candidates.end();
    if (has_tcp && entry->tcp_until && at_.now < *entry->tcp_until)
      std::erase_if(attempt.candidates,
                    [](const Attempt::Candidate& one) { return one.transport == Transport::kUdp; });
    if (entry->near) attempt.candidates.insert(attempt.candidates.begin(), {*entry->near, Transport::kUdp});
  }
  step(attempt);
}

void MeshNode::Machine::ping(Attempt& attempt, const Attempt::Candidate& candidate) {
  Path path;
  path.endpoint = candidate.endpoint;
  path.transport = candidate.transport;
  send(path, attempt.sequence, outer_echo({false, attempt.nonce, 0, 0}));
}

void MeshNode::Machine::ping_all(Attempt& attempt) {
  const bool has_udp = std::ranges::find(attempt.candidates, Transport::kUdp,
                                         &Attempt::Candidate::transport) != attempt.candidates.end();
  for (const auto& candidate : attempt.candidates) {
    // A connection is only made where datagrams do not come through.
    if (candidate.transport == Transport::kTcp && has_udp && attempt.tries == 0) continue;
    ping(attempt, candidate);
  }
}

void MeshNode::Machine::step(Attempt& attempt) {
  const auto next = [&](const auto& waits) {
    if (attempt.tries >= waits.size()) return false;
    attempt.due = at_.now + waits[attempt.tries];
    return true;
  };
  switch (attempt.phase) {
    case Attempt::Phase::kPing: {
      const bool has_tcp = std::ranges::find(attempt.candidates, Transport::kTcp,
                                             &Attempt::Candidate::transport) != attempt.candidates.end();
      const bool may_wait = !attempt.candidates.empty() && (has_tcp ? next(kPingWaitsTcp) : next(kPingWaits));
      // Who says himself that he is behind a NAT is not waited for.
      const bool is_hidden =
          attempt.contact && attempt.tries > 0 && !has_tcp &&
          std::ranges::none_of(attempt.contact->contact.endpoints,
                               [](const ContactEndpoint& one) { return is_direct(one.kind); });
      const bool has_detour = attempt.peer && destinations_.contains(*attempt.peer);
      if (!may_wait || (is_hidden && has_detour)) return ask_over_overlay(attempt);
      ping_all(attempt);
      break;
    }
    case Attempt::Phase::kCreate:
      if (!next(kCreateWaits)) return ask_over_overlay(attempt);
      // It may have been started anew since it gave its cookie.
      if (attempt.tries > 0) ping(attempt, {attempt.path.endpoint, attempt.path.transport});
      send_create(attempt);
      break;
    case Attempt::Phase::kOverlay:
      if (!next(kCreateWaits)) return fail(attempt, NodeEvent::kLinkFailed, "no answer");
      send_create(attempt);
      break;
    case Attempt::Phase::kPunch:
      if (!next(kPunchWaits))
        return fail(attempt, NodeEvent::kLinkFailed,
                    "nothing comes through between the two: both are behind NATs "
                    "or firewalls that let no "
                    "holes be punched");
      ping_all(attempt);
      break;
  }
  ++attempt.tries;
}

void MeshNode::Machine::ask_directly(Attempt& attempt, const Path& path, std::uint64_t cookie) {
  attempt.phase = Attempt::Phase::kCreate;
  attempt.path = path;
  attempt.cookie = cookie;
  attempt.tries = 0;
  step(attempt);
}

void MeshNode::Machine::ask_over_overlay(Attempt& attempt) {
  if (!attempt.peer || !destinations_.contains(*attempt.peer)) {
    if (attempt.candidates.empty() && attempt.purpose == Purpose::kFixed)
      actions_.push_back(AskContact{*attempt.peer});
    return fail(
        attempt, NodeEvent::kLinkFailed,
        attempt.candidates.empty() ? "no endpoint of it is known" : "no answer at any of its endpoints");
  }
  attempt.phase = Attempt::Phase::kOverlay;
  attempt.path = {Way::kOverlay, {node_address(*attempt.peer), kOverlayPort}, Transport::kUdp, 0};
  attempt.cookie = 0;
  attempt.tries = 0;
  step(attempt);
}

void MeshNode::Machine::send_create(Attempt& attempt) {
  ensure_own();
  ControlMessage request;
  request.kind = ControlKind::kCreate;
  request.nonce = attempt.nonce;
  request.to = attempt.peer;
  request.mtu = settings_.mtu;
  request.is_alone = is_isolated();
  request.contacts = {own_->der};
  send_message(attempt.path, attempt.sequence, attempt.cookie, request);
}

void MeshNode::Machine::fail(Attempt& attempt, NodeEvent event, const std::string& why) {
  attempt.is_done = true;
  if (attempt.is_incoming) return;
  if (attempt.peer) backoffs_.failed(*attempt.peer, at_.now, longest_wait(), random_);
  report(event, attempt.peer, why);
  wake_selection(milliseconds(150));
}

// ---- both ----

std::uint64_t MeshNode::Machine::epoch() const {
  return static_cast<std::uint64_t>((at_.now - start_) / kEpoch) + 1;
}

std::uint64_t MeshNode::Machine::cookie_for(const Path& path, std::uint64_t epoch) const {
  std::array<std::uint8_t, 16 + 2 + 1 + 8> bytes{};
  const auto& address = path.endpoint.address();
  const auto as_v6 = address.is_v6()
                         ? address.to_v6()
                         : boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, address.to_v4());
  std::ranges::copy(as_v6.to_bytes(), bytes.begin());
  bytes[16] = static_cast<std::uint8_t>(path.endpoint.port() >> 8);
  bytes[17] = static_cast<std::uint8_t>(path.endpoint.port());
  bytes[18] = static_cast<std::uint8_t>(path.transport);
  for (std::size_t i = 0; i < 8; ++i) bytes[19 + i] = static_cast<std::uint8_t>(epoch >> (8 * i));
  return siphash(cookie_key_, bytes);
}

bool MeshNode::Machine::has_cookie(const Path& path, std::uint64_t cookie) const {
  return cookie == cookie_for(path, epoch()) || cookie == cookie_for(path, epoch() - 1);
}

void MeshNode::Machine::outer_datagram(std::string_view text, std::uint32_t sequence, const Path& from) {
  if (const auto echo = from.way == Way::kOuter ? parse_outer_echo(text) : std::nullopt) {
    if (echo->is_response) {
      outer_echo_response(*echo, from);
    } else {
      outer_echo_request(*echo, from, sequence);
    }
    return;
  }
  const auto part = parse_part(text);
  if (!part) return malformed(from);
  const bool is_answer = std::ranges::any_of(attempts_, [&](const auto& attempt) {
    return !attempt->is_done && !attempt->is_incoming && attempt->sequence == sequence &&
           attempt->path == from;
  });
  const bool may_ask = from.way == Way::kOverlay || has_cookie(from, part->cookie);
  if (!is_answer && !may_ask) {
    ++counters_.refused;
    return;
  }
  const auto whole = reassembler_.add(from, sequence, *part, at_.now);
  if (!whole) return;
  const auto message = parse_control(*whole);
  if (message && message->kind == ControlKind::kAnswer) return on_answer(*message, from);
  if (message && message->kind == ControlKind::kCreate && may_ask) return on_create(*message, from, sequence);
  malformed(from);
}

void MeshNode::Machine::outer_echo_request(const Echo& echo, const Path& from, std::uint32_t sequence) {
  if (!pings_.take(from.endpoint.address(), at_.now, random_)) {
    ++counters_.rate_limited;
    return;
  }
  auto* attempt = attempt_with(echo.nonce);
  const bool is_punching = attempt && attempt->phase == Attempt::Phase::kPunch;
  // A node that makes no links for others need not be found by them.
  if (settings_.client_only && !is_punching) return;
  if (is_punching && attempt->is_incoming) {
    // Before the answer: the handshake begins with that.
    attempt->is_done = true;
    open_link(*attempt, from, false);
  }
  send(from, sequence, outer_echo({true, echo.nonce, cookie_for(from, epoch()), 0}));
  if (is_punching && !attempt->is_incoming) {
    // Its NAT gave it another port towards us than it knows of.
    const Attempt::Candidate candidate{from.endpoint, from.transport};
    if (attempt->candidates.size() < kMostCandidates &&
        std::ranges::find(attempt->candidates, candidate) == attempt->candidates.end())
      attempt->candidates.push_back(candidate);
    ping(*attempt, candidate);
  }
}

void MeshNode::Machine::outer_echo_response(const Echo& echo, const Path& from) {
  auto* attempt = attempt_with(echo.nonce);
  if (!attempt) return;
  const Attempt::Candidate candidate{from.endpoint, from.transport};
  switch (attempt->phase) {
    case Attempt::Phase::kPing:
      if (std::ranges::find(attempt->candidates, candidate) != attempt->candidates.end())
        ask_directly(*attempt, from, echo.cookie);
      return;
    case Attempt::Phase::kCreate:
      if (attempt->path == from) attempt->cookie = echo.cookie;
      return;
    case Attempt::Phase::kPunch:
      if (attempt->peer && is_anothers(candidate, *attempt->peer)) return;
      attempt->is_done = true;
      open_link(*attempt, from, !attempt->is_incoming);
      return;
    case Attempt::Phase::kOverlay:
      return;
  }
}

// ---- the one who is asked ----

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
  if (settings_.client_only) return tsp::kModeNotSupported;
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
  const auto count =
      static_cast<std::size_t>(std::max(1, settings_.client_count.value_or(parameters_.client_count)));
  const auto most = settings_.most_served != 0 ? settings_.most_served : 2 * count;
  const auto incoming = static_cast<std::size_t>(std::ranges::count_if(
      attempts_, [](const auto& attempt) { return !attempt->is_done && attempt->is_incoming; }));
  // Nodes behind symmetric NATs, or without UDP, can only be served by few: others leave them some places.
  const bool is_choosy = from.transport == Transport::kTcp || contact->contact.nat == NatKind::kDependent;
  const auto places = is_choosy ? most : most - most / kKeptPlaces;
  if (count_links(Purpose::kServed) + incoming < places && incoming < kMostIncoming) return tsp::kSuccess;
  if (message.is_alone && make_room()) return tsp::kSuccess;
  report(NodeEvent::kServedFull, peer, "as many as may be: " + std::to_string(most));
  return tsp::kNoTunnelsLeft;
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
  if (auto* link = link_with(peer); link && keeps_link(*link, contact, from))
    return answer(message, from, sequence, tsp::kSuccess, {});
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
    open_link(incoming, from, false);
    return answer(message, from, sequence, tsp::kSuccess, {});
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
bool MeshNode::Machine::keeps_link(Link& link, const ContactRef& contact, const Path& from) {
  const bool is_another_way = from.way == Way::kOuter && link.endpoint != from.endpoint;
  if (link.contact->contact.key != contact->contact.key || link.state == LinkState::kRetiring ||
      (link.state == LinkState::kHandshake && !link.is_ours && is_another_way)) {
    close(link, NodeEvent::kLinkClosed, "its node begins anew");
    return false;
  }
  if (link.replaced != TimePoint::min() && at_.now - link.replaced < kReplaceEvery) return true;
  link.replaced = at_.now;
  if (link.state == LinkState::kHandshake) {
    link.due = at_.now + kFullPause / 2;
  } else {
    link.monitor.heard(at_.now);
  }
  return true;
}

void MeshNode::Machine::answer(const ControlMessage& request, const Path& to, std::uint32_t sequence,
                               int status, std::vector<std::vector<std::uint8_t>> contacts) {
  ControlMessage message;
  message.kind = ControlKind::kAnswer;
  message.status = status;
  message.nonce = request.nonce;
  if (status == tsp::kSuccess) {
    ensure_own();
    message.mtu = std::min(settings_.mtu, request.mtu);
    message.contacts = {own_->der};
  } else {
    message.contacts = std::move(contacts);
  }
  // Of the local network: it means something there alone, and its text has a zone.
  const bool is_near = to.endpoint.address().is_v6() && to.endpoint.address().to_v6().is_link_local();
  if (to.way == Way::kOuter && !is_near) message.observed = to.endpoint;
  send_message(to, sequence, 0, message);
}

// ---- the answer ----

void MeshNode::Machine::on_answer(const ControlMessage& message, const Path& from) {
  auto* attempt = attempt_with(message.nonce);
  const bool is_awaited =
      attempt && !attempt->is_incoming && attempt->path == from &&
      (attempt->phase == Attempt::Phase::kCreate || attempt->phase == Attempt::Phase::kOverlay);
  if (!is_awaited) return;
  const bool is_wrong_node = message.status == tsp::kInvalidIpv6 && from.way == Way::kOuter;
  if (is_wrong_node &&
      std::erase(attempt->candidates, Attempt::Candidate{from.endpoint, from.transport}) > 0 &&
      !attempt->candidates.empty()) {
    attempt->phase = Attempt::Phase::kPing;
    attempt->tries = 0;
    return step(*attempt);
  }
  // Also of those that refuse: who has not found a link yet has to know what NAT it is behind.
  if (message.observed && from.way == Way::kOuter && from.transport == Transport::kUdp) {
    const auto before = endpoints_.list();
    const auto nat = endpoints_.nat();
    if (is_endpoint_usable(*message.observed)) endpoints_.observe(from.endpoint.address(), *message.observed);
    if (before != endpoints_.list() || nat != endpoints_.nat()) want_signing(seconds(2));
  }
  if (message.status != tsp::kSuccess) {
    for (const auto& der : message.contacts) {
      ContactRef other;
      take_contact(der, other);
    }
    fail(*attempt, NodeEvent::kLinkRefused, std::string(explain_refusal(message.status)));
    if (attempt->peer && message.status == tsp::kNoTunnelsLeft)
      backoffs_.hold(*attempt->peer, at_.now + random_.jitter(kFullPause, 0.5, 1.5), random_);
    return;
  }
  ContactRef contact;
  const auto trust = take_contact(message.contacts.front(), contact);
  if (trust == Trust::kBad)
    return fail(*attempt, NodeEvent::kLinkFailed, "it answered with a contact that is not good");
  if (trust == Trust::kOwn) return fail(*attempt, NodeEvent::kLinkFailed, "this node itself answers there");
  if (trust == Trust::kOld)
    return fail(*attempt, NodeEvent::kLinkFailed, "it answered with an old contact, which somebody repeats");
  if (attempt->peer && contact->contact.prefix != *attempt->peer)
    return fail(*attempt, NodeEvent::kLinkFailed,
                "another node answered: " + contact->contact.prefix.to_string());
  attempt->contact = contact;
  attempt->mtu = std::min(settings_.mtu, message.mtu);
  if (from.way == Way::kOuter) {
    attempt->is_done = true;
    if (!link_with(contact->contact.prefix)) open_link(*attempt, from, true);
    return;
  }
  attempt->phase = Attempt::Phase::kPunch;
  attempt->candidates = candidates_of(*contact);
  attempt->tries = 0;
  step(*attempt);
}

}  // namespace sixlink::mesh
