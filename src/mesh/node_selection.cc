// SPDX-License-Identifier: BSD-3-Clause
// Which peers a node makes links with: at random among all that the routing table knows, so that the network
// stays connected when any of them fail.
#include <algorithm>
#include <utility>

#include "src/mesh/node_machine.h"

namespace sixlink::mesh {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Negotiations at the same time. Without a link every moment counts, and many of those that are remembered
// may have gone.
constexpr std::size_t kAtOnce = 4;
constexpr std::size_t kAtOnceIsolated = 8;
// Between two of them: fifty nodes may begin at the same instant on one machine.
constexpr milliseconds kPace{120};
constexpr milliseconds kPaceIsolated{30};
// When there was nobody to choose.
constexpr seconds kNobody{5};
constexpr milliseconds kNobodyIsolated{500};
// Random draws, before all of a small number are looked at.
constexpr int kDraws = 16;
constexpr std::size_t kSmall = 64;
// A link is judged by what it has done; a new one has done nothing yet.
constexpr seconds kTrial{30};
// Waits after failures: without a link a peer is tried again soon, whatever it did before, and sooner where
// all may just be starting. Where few are known each of them may be the way back to the others.
constexpr seconds kLongestWait{600};
constexpr seconds kLongestWaitOfFew{60};
constexpr seconds kLongestWaitIsolated{20};
constexpr seconds kLongestWaitAtStart{3};
constexpr seconds kStarting{60};
constexpr std::size_t kFew = 32;
constexpr seconds kNearFor{60};
constexpr std::size_t kMostNear = 16;
constexpr std::size_t kNearLinks = 8;
constexpr std::chrono::minutes kMovePause{10};
// Asking the registry.
constexpr unsigned kContactsAsked = 20;
constexpr std::size_t kEnoughContacts = 4;
constexpr seconds kFirstAskPause{5};
constexpr seconds kLongestAskPause{120};
constexpr std::chrono::minutes kAskPause{15};
constexpr seconds kCacheFirst{2};

}  // namespace

std::chrono::seconds MeshNode::Machine::longest_wait() const {
  if (is_isolated()) return at_.now - start_ < kStarting ? kLongestWaitAtStart : kLongestWaitIsolated;
  return book_.size() <= kFew ? kLongestWaitOfFew : kLongestWait;
}

void MeshNode::Machine::wake_selection(milliseconds within) {
  select_due_ = std::min(select_due_, at_.now + random_.jitter(within, 0.3, 1.0));
}

std::size_t MeshNode::Machine::client_count() const {
  return static_cast<std::size_t>(std::max(0, settings_.client_count.value_or(parameters_.client_count)));
}

// Those that are missing of the random ones.
std::size_t MeshNode::Machine::wanted() const {
  if (is_client_only()) return 0;
  auto target = client_count();
  // Nobody comes to it, so its links only cost the others' places.
  if (!endpoints_.is_reachable() && endpoints_.nat() == NatKind::kDependent) target = (target + 1) / 2;
  const auto begun = static_cast<std::size_t>(std::ranges::count_if(attempts_, [](const auto& attempt) {
    return !attempt->is_done && !attempt->is_incoming && attempt->purpose == Purpose::kRandom;
  }));
  const auto have = count_links(Purpose::kRandom) + begun;
  return target > have ? target - have : 0;
}

bool MeshNode::Machine::is_candidate(const net::Prefix& peer) const {
  if (peer == settings_.prefix || !backoffs_.may_try(peer, at_.now)) return false;
  const auto is_linked =
      std::ranges::any_of(links_, [&](const auto& link) { return !link->is_closed && link->peer == peer; });
  const auto is_tried = std::ranges::any_of(
      attempts_, [&](const auto& attempt) { return !attempt->is_done && attempt->peer == peer; });
  return !is_linked && !is_tried;
}

void MeshNode::Machine::select() {
  if (is_client_only()) return select_only();
  select_fixed();
  select_near();
  const bool is_alone = is_isolated();
  const auto under_way = static_cast<std::size_t>(std::ranges::count_if(
      attempts_, [](const auto& attempt) { return !attempt->is_done && !attempt->is_incoming; }));
  if (wanted() == 0) {
    select_due_ = at_.now + random_.jitter(kNobody, 0.8, 1.2);
    return;
  }
  const auto pace = is_alone ? kPaceIsolated : kPace;
  if (under_way >= (is_alone ? kAtOnceIsolated : kAtOnce)) {
    select_due_ = at_.now + random_.jitter(pace * 2, 0.5, 1.5);
    return;
  }
  const auto peer = choose();
  if (peer) start_attempt(peer, Purpose::kRandom);
  const auto pause = peer       ? std::chrono::nanoseconds(pace)
                     : is_alone ? std::chrono::nanoseconds(kNobodyIsolated)
                                : std::chrono::nanoseconds(kNobody);
  select_due_ = at_.now + random_.jitter(pause, 0.5, 1.5);
}

void MeshNode::Machine::select_only() {
  select_due_ = at_.now + random_.jitter(seconds(3), 0.5, 1.5);
  const bool is_busy = std::ranges::any_of(links_, [](const auto& link) { return !link->is_closed; }) ||
                       std::ranges::any_of(attempts_, [](const auto& one) { return !one->is_done; });
  if (!is_busy) start_attempt(std::nullopt, Purpose::kOnly);
}

void MeshNode::Machine::select_fixed() {
  for (const auto& peer : settings_.neighbours) {
    if (is_candidate(peer)) start_attempt(peer, Purpose::kFixed);
  }
}

void MeshNode::Machine::select_near() {
  for (std::size_t i = 0; i < near_.size();) {
    const auto peer = near_[i];
    auto* entry = book_.find(peer);
    if (!entry || !entry->seen_near || at_.now - *entry->seen_near > kNearFor) {
      near_.erase(near_.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    ++i;
    if (auto* link = link_with(peer)) join_near(*link, *entry);
    if (count_links(Purpose::kNear) < kNearLinks && is_candidate(peer)) start_attempt(peer, Purpose::kNear);
  }
}

bool MeshNode::Machine::is_near(const net::Prefix& peer) const {
  return std::ranges::find(near_, peer) != near_.end();
}

// What is on the local network is to stay there: a link that goes around outside is ended, gently, for one
// that does not.
void MeshNode::Machine::join_near(Link& link, ContactBook::Entry& entry) {
  if (!link.is_up() || link.purpose == Purpose::kFixed || link.purpose == Purpose::kNear) return;
  const auto& endpoints = link.contact->contact.endpoints;
  const auto known = std::ranges::find(endpoints, link.endpoint.address(), &ContactEndpoint::address);
  // A public address of its own needs nobody between.
  const bool is_direct = (entry.near && entry.near->address() == link.endpoint.address()) ||
                         (known != endpoints.end() &&
                          (known->kind == EndpointKind::kLocal || known->kind == EndpointKind::kPublic));
  if (is_direct) {
    if (count_links(Purpose::kNear) < kNearLinks) link.purpose = Purpose::kNear;
    return;
  }
  const bool is_recent = entry.moved && at_.now - *entry.moved < kMovePause;
  if (PackedPrefix(link.peer) < PackedPrefix(settings_.prefix) || is_recent) return;
  entry.moved = at_.now;
  retire(link);
}

std::optional<net::Prefix> MeshNode::Machine::choose() {
  if (!is_isolated()) {
    if (const auto peer = choose_destination()) return peer;
  }
  return choose_contact(true);
}

std::optional<net::Prefix> MeshNode::Machine::choose_destination() {
  const auto size = destinations_.size();
  if (size == 0) return std::nullopt;
  if (size <= kSmall) {
    const auto first = random_.below(size);
    for (std::size_t i = 0; i < size; ++i) {
      const auto peer = destinations_.at((first + i) % size);
      if (is_candidate(peer)) return peer;
    }
    return std::nullopt;
  }
  for (int draw = 0; draw < kDraws; ++draw) {
    const auto peer = destinations_.at(random_.below(size));
    if (is_candidate(peer)) return peer;
  }
  return std::nullopt;
}

std::optional<net::Prefix> MeshNode::Machine::choose_contact(bool may_be_reached) {
  const auto size = book_.size();
  if (size == 0) return std::nullopt;
  const auto is_good = [&](const ContactBook::Entry& entry) {
    const auto& contact = entry.contact->contact;
    return entry.contact->is_good_at(at_.wall) &&
           (may_be_reached || !destinations_.contains(contact.prefix)) && is_candidate(contact.prefix) &&
           (entry.near || !candidates_of(*entry.contact).empty());
  };
  // One that worked before, if one is drawn.
  std::optional<net::Prefix> found;
  for (int draw = 0; draw < kDraws; ++draw) {
    const auto& entry = book_.at(random_.below(size));
    if ((found && !entry.worked) || !is_good(entry)) continue;
    found = entry.contact->contact.prefix;
    if (entry.worked) return found;
  }
  if (found || (size > kSmall && !is_isolated())) return found;
  const auto first = random_.below(size);
  for (std::size_t i = 0; i < size; ++i) {
    const auto& entry = book_.at((first + i) % size);
    if (is_good(entry)) return entry.contact->contact.prefix;
  }
  return std::nullopt;
}

// The least useful link makes place for a new one, so that the network does not stay as chance made it.
void MeshNode::Machine::refresh() {
  const auto pause = settings_.tunnel_refresh.value_or(parameters_.tunnel_refresh);
  refresh_due_ = at_.now + random_.jitter(pause, 0.9, 1.1);
  if (is_client_only() || is_isolated()) return;
  // With more than enough already, one that was made for another reason may go.
  trim();
  if (wanted() == 0 && client_count() > 0) {
    // Before the old one goes: on_handshake() trims.
    if (const auto peer = choose_destination()) start_attempt(peer, Purpose::kRandom);
  }
  for (const auto& link : links_) link->bytes_before = link->bytes;
}

void MeshNode::Machine::trim() {
  // Who begins none may have one all the same, which joined two parts of the network.
  const auto target = std::max<std::size_t>(1, client_count());
  for (;;) {
    std::size_t up = 0;
    std::size_t ties = 0;
    Link* least = nullptr;
    for (const auto& link : links_) {
      if (link->is_closed || !link->is_up() || link->purpose != Purpose::kRandom) continue;
      ++up;
      if (at_.now - link->since < kTrial) continue;
      const auto use = std::pair(link->routes, link->bytes - link->bytes_before);
      const auto least_use =
          least ? std::pair(least->routes, least->bytes - least->bytes_before) : std::pair(use);
      ties = !least || use < least_use ? 1 : use == least_use ? ties + 1 : ties;
      // Of those that are equal each with the same chance.
      if (!least || use < least_use || (use == least_use && random_.below(ties) == 0)) least = link.get();
    }
    if (up <= target || !least) return;
    retire(*least);
  }
}

// Somebody that is known and not reached: gone, or in another part of a network that fell apart.
void MeshNode::Machine::try_lost() {
  if (is_client_only() || is_isolated() || destinations_.size() == 0) return;
  if (const auto peer = choose_contact(false)) start_attempt(peer, Purpose::kRandom);
}

void MeshNode::Machine::ask_registry() {
  if (is_client_only()) {
    ask_due_ = TimePoint::max();
    return;
  }
  if (!is_isolated()) {
    ask_pause_ = seconds(0);
    ask_due_ = at_.now + random_.jitter(kAskPause, 0.7, 1.3);
    actions_.push_back(AskContacts{kContactsAsked});
    return;
  }
  // All that start at once after a failure would ask at once; most get in by what they remember.
  if (at_.now - start_ < kCacheFirst && book_.size() >= kEnoughContacts) {
    ask_due_ = start_ + random_.jitter(kCacheFirst, 1.0, 2.0);
    return;
  }
  ask_pause_ = ask_pause_.count() == 0 ? kFirstAskPause : std::min(2 * ask_pause_, kLongestAskPause);
  ask_due_ = at_.now + random_.jitter(ask_pause_, 0.5, 1.0);
  actions_.push_back(AskContacts{kContactsAsked});
}

void MeshNode::Machine::on_contact(std::span<const std::uint8_t> der, bool is_local, Times at,
                                   const std::optional<Endpoint>& from) {
  begin(at);
  if (is_leaving_) return;
  ContactRef contact;
  const auto trust = take_contact(der, contact);
  if (trust != Trust::kGood && trust != Trust::kOld) return finish();
  auto* entry = book_.find(contact->contact.prefix);
  if (is_local && trust == Trust::kGood && entry) {
    entry->seen_near = at_.now;
    if (from) entry->near = from;
    const auto& peer = contact->contact.prefix;
    if (near_.size() < kMostNear && std::ranges::find(near_, peer) == near_.end()) near_.push_back(peer);
    if (is_candidate(peer)) wake_selection(milliseconds(200));
  }
  if (is_isolated()) wake_selection(milliseconds(200));
  finish();
}

}  // namespace sixlink::mesh
