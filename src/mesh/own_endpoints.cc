// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/own_endpoints.h"

#include <algorithm>
#include <utility>

#include "src/net/prefix.h"

namespace sixlink::mesh {
namespace {

bool is_usable(const boost::asio::ip::address& address) {
  if (address.is_v4()) return net::is_unicast(address.to_v4()) && !address.is_loopback();
  return net::is_inner_unicast(address.to_v6());
}

}  // namespace

void OwnEndpoints::set_given(std::vector<ContactEndpoint> given) {
  if (given.size() > Contact::kMostEndpoints) given.resize(Contact::kMostEndpoints);
  given_ = std::move(given);
  look();
}

void OwnEndpoints::observe(const boost::asio::ip::address& observer, const Endpoint& seen) {
  if (!is_usable(seen.address()) || seen.port() == 0) return;
  std::erase_if(observations_, [&](const Observation& one) {
    return one.observer == observer && one.seen.address().is_v4() == seen.address().is_v4();
  });
  if (observations_.size() >= kMostObservers) observations_.erase(observations_.begin());
  observations_.push_back({observer, seen});
  look();
}

void OwnEndpoints::forget_observed() {
  observations_.clear();
  look();
}

void OwnEndpoints::look() {
  list_ = find_list();
  nat_ = find_nat();
}

std::optional<Endpoint> OwnEndpoints::most_seen(bool is_v4) const {
  std::optional<Endpoint> best;
  std::size_t most = 0;
  for (const auto& one : observations_) {
    if (one.seen.address().is_v4() != is_v4) continue;
    const auto count = static_cast<std::size_t>(
        std::ranges::count(observations_, one.seen, [](const Observation& other) { return other.seen; }));
    // Of those that as many say the newest.
    if (count >= most) {
      most = count;
      best = one.seen;
    }
  }
  return best;
}

bool OwnEndpoints::has(const Endpoint& endpoint) const {
  return std::ranges::any_of(given_, [&](const ContactEndpoint& one) {
    return one.transport == Transport::kUdp && one.address == endpoint.address() &&
           one.port == endpoint.port();
  });
}

std::vector<ContactEndpoint> OwnEndpoints::find_list() const {
  auto all = given_;
  for (const bool is_v4 : {true, false}) {
    const auto seen = most_seen(is_v4);
    if (!seen || has(*seen)) continue;
    // Before those of private networks, which fewer can use.
    const auto place = std::ranges::find(all, EndpointKind::kLocal, &ContactEndpoint::kind);
    all.insert(place, {seen->address(), seen->port(), Transport::kUdp, EndpointKind::kObserved});
  }
  if (all.size() > Contact::kMostEndpoints) all.resize(Contact::kMostEndpoints);
  return all;
}

NatKind OwnEndpoints::find_nat() const {
  bool is_independent = false;
  bool is_none = false;
  for (std::size_t i = 0; i < observations_.size(); ++i) {
    const auto& one = observations_[i].seen;
    const auto given = std::ranges::find(given_, one.address(), &ContactEndpoint::address);
    if (given != given_.end() && given->kind != EndpointKind::kMapped &&
        given->kind != EndpointKind::kObserved) {
      // Who is near sees a private address, which says nothing of the way out.
      is_none = is_none || given->kind == EndpointKind::kPublic;
      continue;
    }
    for (std::size_t j = i + 1; j < observations_.size(); ++j) {
      const auto& other = observations_[j].seen;
      if (other.address() != one.address()) continue;  // another uplink
      if (other.port() != one.port()) return NatKind::kDependent;
      is_independent = true;
    }
  }
  return is_independent ? NatKind::kIndependent : is_none ? NatKind::kNone : NatKind::kUnknown;
}

bool OwnEndpoints::is_reachable() const {
  return std::ranges::any_of(given_, [](const ContactEndpoint& one) {
    return one.kind == EndpointKind::kPublic || one.kind == EndpointKind::kMapped;
  });
}

}  // namespace sixlink::mesh
