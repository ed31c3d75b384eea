// SPDX-License-Identifier: BSD-3-Clause
// Which contacts a node believes, and which of their endpoints it tries.
#include <algorithm>
#include <utility>

#include "src/mesh/node_machine.h"

namespace sixlink::mesh {
namespace {

// What was good so long ago at most is not verified again: requests are repeated.
constexpr std::chrono::seconds kGoodFor{60};

}  // namespace

bool MeshNode::Machine::is_revoked(const SignedContact& contact) const {
  return parameters_.revoked.contains(contact.serial);
}

MeshNode::Machine::Trust MeshNode::Machine::take_contact(std::span<const std::uint8_t> der,
                                                         ContactRef& contact) {
  // What was good a moment ago: requests are repeated.
  if (auto known = book_.find_signed(der, at_.now - kGoodFor);
      known && known->is_good_at(at_.wall) && !is_revoked(*known)) {
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
  const auto taken = book_.take(std::move(opened.contact), at_.now, random_);
  const auto* entry = book_.find(prefix);
  // A book without room for it.
  if (!entry) return Trust::kBad;
  contact = entry->contact;
  if (taken == ContactBook::Taken::kOld) {
    ++counters_.old_contacts;
    return Trust::kOld;
  }
  if (auto* link = link_with(prefix); link && link->contact->contact.key == contact->contact.key) {
    link->believe(contact);
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
  const auto& own = endpoints_.list();
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

}  // namespace sixlink::mesh
