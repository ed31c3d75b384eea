// SPDX-License-Identifier: BSD-3-Clause
// What a node says of itself, and the network's parameters as they go from node to node.
#include <algorithm>
#include <utility>

#include "src/mesh/node_machine.h"

namespace sixlink::mesh {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Less than Contact::kLongestLife, by what clocks may differ; long enough that a network that was off for
// days finds together again.
constexpr std::chrono::hours kContactLife{24 * 6};
constexpr std::chrono::hours kSignedAnew{12};
// Signatures cost, and each goes to all neighbours and to the registry. When a node starts it learns of its
// endpoints one after the other.
constexpr seconds kSignPause{10};
constexpr seconds kSignPauseAtStart{1};
constexpr unsigned kSignsAtStart = 4;
constexpr std::chrono::minutes kQuiet{2};
// All nodes learn of new parameters at the same time, and tell the registry that they have.
constexpr seconds kVersionSpread{20};
// Milliseconds since 1970, some million years from now.
constexpr std::uint64_t kHighestSequence = 1ULL << 62;
constexpr milliseconds kBelieved{100};
constexpr std::size_t kMostPulls = 3;
constexpr std::chrono::minutes kDistrust{10};

}  // namespace

const SignedContact& MeshNode::Machine::own_contact() {
  ensure_own();
  return *own_;
}

void MeshNode::Machine::ensure_own() {
  if (!own_) sign_own();
}

void MeshNode::Machine::sign_own() {
  sign_due_ = TimePoint::max();
  Contact contact;
  contact.prefix = settings_.prefix;
  contact.key = key_;
  contact.endpoints = is_client_only() ? std::vector<ContactEndpoint>() : endpoints_.list();
  contact.nat = endpoints_.nat();
  contact.parameters = parameters_.version;
  contact.software = settings_.software;
  if (own_ && at_.now - signed_at_ < kSignedAnew && contact.endpoints == own_->contact.endpoints &&
      contact.nat == own_->contact.nat && contact.parameters == own_->contact.parameters &&
      own_->contact.sequence >= sequence_seen_)
    return;
  const auto wall = std::chrono::duration_cast<milliseconds>(at_.wall.time_since_epoch()).count();
  sequence_seen_ = std::max(sequence_seen_ + 1, static_cast<std::uint64_t>(std::max<std::int64_t>(wall, 0)));
  contact.sequence = sequence_seen_;
  contact.expires = std::chrono::floor<seconds>(at_.wall + kContactLife);
  own_ = signer_.sign(contact);
  signed_soon_ = signed_at_ != TimePoint::min() && at_.now - signed_at_ > kQuiet ? 0 : signed_soon_ + 1;
  signed_at_ = at_.now;
  actions_.push_back(PublishContact{});
  ControlMessage news;
  news.kind = ControlKind::kContacts;
  news.contacts = {own_->der};
  const auto text = to_text(news);
  for (const auto& link : links_) {
    if (link->is_up()) send_text({Way::kLink, {}, Transport::kUdp, link->id}, next_sequence(), 0, text);
  }
}

void MeshNode::Machine::want_signing(milliseconds within) {
  // The first time it is signed when it is due, or needed.
  if (!own_) return;
  const auto earliest = signed_at_ + (signed_soon_ < kSignsAtStart ? kSignPauseAtStart : kSignPause);
  sign_due_ = std::min(sign_due_, std::max(at_.now + within, earliest));
}

// A contact of ours that somebody has: after a restart with the clock set back ours must still be the newest.
void MeshNode::Machine::take_own(const SignedContact& seen) {
  if (seen.contact.key != key_ && own_) {
    report(NodeEvent::kBadContact, settings_.prefix,
           "there is a contact of this node with another key: another machine "
           "has its certificate, or its key "
           "was replaced");
  }
  if (seen.contact.sequence < std::max(sequence_seen_, own_ ? own_->contact.sequence : 0) ||
      (own_ && seen.der == own_->der))
    return;
  // Nothing could be greater.
  if (seen.contact.sequence >= kHighestSequence) return;
  sequence_seen_ = seen.contact.sequence;
  if (own_ && own_->contact.sequence <= sequence_seen_) {
    own_.reset();
    sign_due_ = std::min(sign_due_, at_.now + kSignPauseAtStart);
  }
}

bool MeshNode::Machine::on_parameters(std::span<const std::uint8_t> der, Times at) {
  begin(at);
  if (is_leaving_) return false;
  const bool is_taken = take_parameters(der, std::nullopt);
  finish();
  return is_taken;
}

bool MeshNode::Machine::take_parameters(std::span<const std::uint8_t> der,
                                        const std::optional<net::Prefix>& from) {
  auto opened = parameters_verifier_.open(der, at_.wall);
  if (opened.parameters && !opened.parameters->network.contains(settings_.prefix)) {
    opened.problem = "the network's parameters are for " + opened.parameters->network.to_string() +
                     ", which this node is not of";
    opened.parameters.reset();
  }
  if (!opened.parameters) {
    ++counters_.bad_parameters;
    report(NodeEvent::kBadParameters, from, opened.problem);
    return false;
  }
  if (opened.parameters->version <= parameters_.version) {
    if (from) ++counters_.bad_parameters;
    return false;
  }
  // Whom they vouch for is another matter now. The edge believes them from UseParameters on.
  if (opened.parameters->authorities != parameters_.authorities)
    recheck_due_ = std::min(recheck_due_, at_.now + kBelieved);
  parameters_ = *std::move(opened.parameters);
  parameters_der_.assign(der.begin(), der.end());
  actions_.push_back(UseParameters{});
  std::erase_if(pulls_, [&](const ParametersPull& one) { return one.version() <= parameters_.version; });
  for (std::size_t i = 0; i < links_.size(); ++i) {
    auto& link = *links_[i];
    if (link.is_closed) continue;
    if (is_revoked(*link.contact)) {
      close(link, NodeEvent::kRevoked, "its certificate " + link.contact->serial + " was revoked");
    } else if (link.is_up()) {
      link.monitor.ask(at_.now);  // echoes tell the version
    }
  }
  for (const auto& attempt : attempts_) {
    if (attempt->contact && is_revoked(*attempt->contact)) attempt->is_done = true;
  }
  book_.remove_if([&](const ContactBook::Entry& entry) { return is_revoked(*entry.contact); });
  if (own_ && is_revoked(*own_))
    report(NodeEvent::kRevoked, settings_.prefix,
           "this node's own certificate " + own_->serial + " was revoked: the others refuse it");
  want_signing(std::chrono::duration_cast<milliseconds>(random_.jitter(kVersionSpread, 0.2, 1.0)));
  wake_selection(milliseconds(500));
  return true;
}

void MeshNode::Machine::start_pull() {
  // The next one begins when the last one is stuck.
  if (pulls_.size() >= kMostPulls ||
      std::ranges::any_of(pulls_, [](const ParametersPull& one) { return !one.is_stuck(); }))
    return;
  const Link* best = nullptr;
  for (const auto& link : links_) {
    if (!link->is_up() || link->echoed <= parameters_.version || at_.now < link->distrusted_until) continue;
    if (std::ranges::find(pulls_, link->id, &ParametersPull::link) != pulls_.end()) continue;
    if (!best || link->echoed > best->echoed) best = link.get();
  }
  if (best) pulls_.emplace_back(best->id, best->echoed, at_.now);
}

void MeshNode::Machine::saw_version(Link& link, std::uint64_t version) {
  link.echoed = version;
  if (version > parameters_.version) start_pull();
}

void MeshNode::Machine::take_piece(Link& link, const ControlMessage& piece) {
  const auto pull = std::ranges::find(pulls_, link.id, &ParametersPull::link);
  if (pull == pulls_.end() || !pull->take(piece, at_.now)) return;
  const auto document = pull->bytes();
  const auto version = pull->version();
  pulls_.erase(pull);
  if (!take_parameters(document, link.peer) && version > parameters_.version)
    link.distrusted_until = at_.now + kDistrust;
  start_pull();
}

}  // namespace sixlink::mesh
