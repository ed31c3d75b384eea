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
constexpr std::uint16_t kOverlayPort = 3653;
constexpr seconds kEpoch{60};  // of cookies: good for one to two of them
// Of links' own ports: above those that systems give to whoever asks for any (Linux: 32768 to 60999).
constexpr std::uint16_t kFirstOwnPort = 61000;
constexpr seconds kFullPause{30};  // before somebody is asked again who serves enough

bool is_direct(EndpointKind kind) {
  return kind == EndpointKind::kPublic || kind == EndpointKind::kMapped;
}

}  // namespace

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
    for (const auto transport : settings_.transports) {
      for (const auto& server : settings_.client_only) attempt.candidates.push_back({server, transport});
    }
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
  const auto preferred = settings_.transports.empty() ? Transport::kUdp : settings_.transports.front();
  const bool has_preferred = std::ranges::find(attempt.candidates, preferred,
                                               &Attempt::Candidate::transport) != attempt.candidates.end();
  for (const auto& candidate : attempt.candidates) {
    // The others only where that does not come through.
    if (candidate.transport != preferred && has_preferred && attempt.tries == 0) continue;
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
  request.takes_any_port = may_have_any_port(attempt);
  if (attempt.own_port == 0 && may_have_own_port(attempt)) attempt.own_port = new_port();
  if (attempt.path.way == Way::kOuter) request.own_port = attempt.own_port;
  request.contacts = {own_->der};
  send_message(attempt.path, attempt.sequence, attempt.cookie, request);
}

// The one who begins sends first: no NAT of his keeps the answer away.
bool MeshNode::Machine::may_have_own_port(const Attempt& attempt) const {
  if (settings_.own_ports == OwnPorts::kNever || !attempt.peer || attempt.path.way != Way::kOuter ||
      attempt.path.transport != Transport::kUdp)
    return false;
  const auto* entry = book_.find(*attempt.peer);
  if (entry && entry->shared_port_until && at_.now < *entry->shared_port_until) return false;
  const auto nat = endpoints_.nat();
  return settings_.own_ports == OwnPorts::kDirectly || nat == NatKind::kUnknown || nat == NatKind::kNone;
}

// An address that its node itself has: what is sent to another port comes there too, unless a firewall
// forbids it. Of a mapping only that one port is known.
bool MeshNode::Machine::may_have_any_port(const Attempt& attempt) const {
  if (!attempt.peer || !attempt.contact || attempt.path.way != Way::kOuter ||
      attempt.path.transport != Transport::kUdp)
    return false;
  const auto* entry = book_.find(*attempt.peer);
  if (entry && entry->shared_port_until && at_.now < *entry->shared_port_until) return false;
  if (entry && entry->near == attempt.path.endpoint) return true;
  return std::ranges::any_of(attempt.contact->contact.endpoints, [&](const ContactEndpoint& one) {
    return (one.kind == EndpointKind::kPublic || one.kind == EndpointKind::kLocal) &&
           one.transport == Transport::kUdp && one.port == attempt.path.endpoint.port() &&
           one.address == attempt.path.endpoint.address();
  });
}

std::uint16_t MeshNode::Machine::new_port() {
  for (;;) {
    const auto port = static_cast<std::uint16_t>(kFirstOwnPort + random_.below(65536 - kFirstOwnPort));
    if (std::ranges::none_of(links_, [&](const auto& link) { return link->own_port == port; })) return port;
  }
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
  if (is_client_only() && !is_punching) return;
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

// ---- the answer ----

void MeshNode::Machine::on_observed(const boost::asio::ip::address& observer, const Endpoint& seen) {
  if (!is_endpoint_usable(seen)) return;
  const auto before = endpoints_.list();
  const auto nat = endpoints_.nat();
  endpoints_.observe(observer, seen);
  if (before != endpoints_.list() || nat != endpoints_.nat()) want_signing(seconds(2));
}

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
    on_observed(from.endpoint.address(), *message.observed);
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
    if (from.transport == Transport::kUdp) attempt->peers_port = message.own_port;
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
