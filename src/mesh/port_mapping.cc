// SPDX-License-Identifier: BSD-3-Clause
// Keeping ports mapped.
#include "src/mesh/port_mapping.h"

#include <algorithm>
#include <utility>

#include "src/net/prefix.h"

namespace sixlink::mesh {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::address;

// A renewal that nobody answers is tried again when half of what is left is over, but not more often.
constexpr std::chrono::seconds kLeastRenewal{4};
// All that heard a router's start would ask at once (RFC 6887 section 14.1.3).
constexpr std::chrono::milliseconds kAnnouncementJitter{2000};
// Anybody on the segment can send one.
constexpr std::chrono::seconds kAnnouncementPause{5};
constexpr std::uint32_t kYoung = 10;
constexpr int kRemovalTries = 3;
constexpr std::chrono::milliseconds kRemovalWait{300};

// An address that a router may say the world sees it with.
bool is_outer(const address& value, bool is_v6) {
  if (value.is_v6() != is_v6) return false;
  if (is_v6) return net::is_inner_unicast(value.to_v6());
  return !value.is_unspecified() && !value.is_multicast() && !value.is_loopback() &&
         value.to_v4() != boost::asio::ip::address_v4::broadcast();
}

std::chrono::seconds life(std::uint32_t seconds) {
  return std::clamp(std::chrono::seconds(seconds), PortMapping::kShortestLife, PortMapping::kLongestLife);
}

// RFC 6887 section 8.5; RFC 6886 section 3.6 is less strict.
bool has_restarted(std::uint32_t before, std::uint32_t after, std::chrono::seconds passed) {
  if (after + 1 < before) return true;
  const auto theirs = static_cast<std::int64_t>(after) - before;
  const auto ours = passed.count();
  return ours + 2 < theirs - theirs / 16 || theirs + 2 < ours - ours / 8;
}

}  // namespace

const char* to_string(MappingProtocol protocol) {
  switch (protocol) {
    case MappingProtocol::kPcp:
      return "PCP";
    case MappingProtocol::kNatPmp:
      return "NAT-PMP";
    case MappingProtocol::kIgd:
      return "UPnP";
    case MappingProtocol::kNone:
      break;
  }
  return "none";
}

PortMapping::PortMapping(const std::vector<Wanted>& wanted, std::uint64_t seed) : random_(seed) {
  for (const auto& one : wanted) {
    Slot slot;
    slot.wanted = one;
    std::ranges::generate(slot.nonce, [this] { return static_cast<std::uint8_t>(random_()); });
    slots_.push_back(slot);
  }
}

bool PortMapping::has_grants() const {
  return std::ranges::any_of(slots_, [](const Slot& slot) { return slot.grant.has_value(); });
}

std::vector<PortMapped> PortMapping::mapped() const {
  std::vector<PortMapped> result;
  const bool is_nat_pmp = protocol() == MappingProtocol::kNatPmp;
  for (const auto& slot : slots_) {
    if (!slot.grant || (is_nat_pmp && !outer_)) continue;
    const auto external = is_nat_pmp ? *outer_ : slot.grant->external;
    result.push_back({slot.wanted.transport, slot.wanted.port, external, slot.grant->port});
  }
  return result;
}

MappingProtocol PortMapping::protocol() const {
  switch (state_ == State::kLeaving ? leaving_ : state_) {
    case State::kPcp:
      return MappingProtocol::kPcp;
    case State::kNatPmp:
      return MappingProtocol::kNatPmp;
    case State::kIgd:
      return MappingProtocol::kIgd;
    default:
      return MappingProtocol::kNone;
  }
}

PortMapping::Actions PortMapping::take_actions() {
  return std::exchange(actions_, {});
}

// ---- From one protocol to the next ----

void PortMapping::set_network(const std::optional<Network>& network, TimePoint now) {
  if (network == network_ || state_ == State::kLeaving || state_ == State::kLeft) return;
  network_ = network;
  forget();
  problem_.clear();
  if (network_ && !slots_.empty()) {
    begin(State::kPcp, now);
  } else {
    state_ = State::kIdle;
  }
}

void PortMapping::forget() {
  if (has_grants()) actions_.is_changed = true;
  for (auto& slot : slots_) {
    slot.grant.reset();
    slot.is_refused = false;
    slot.tries = 0;
  }
  outer_.reset();
  outer_tries_ = 0;
  epoch_.reset();
  is_confirmed_ = false;
  is_igd_busy_ = false;
  actions_.igd.reset();
}

void PortMapping::begin(State state, TimePoint now) {
  forget();
  state_ = state;
  for (auto& slot : slots_) slot.next = now;
  check_at_ = now;
  wake_at_ = now;
  tick(now);
}

void PortMapping::begin_next(TimePoint now) {
  if (state_ == State::kPcp && is_v6()) {
    if (problem_.empty()) problem_ = kNoPcp;
    rest(now);
  } else if (state_ == State::kPcp) {
    begin(State::kNatPmp, now);
  } else if (state_ == State::kNatPmp) {
    begin(State::kIgd, now);
  } else {
    rest(now);
  }
}

void PortMapping::rest(TimePoint now) {
  forget();
  state_ = State::kResting;
  wake_at_ = now + kRest;
}

// ---- Asking ----

std::vector<std::uint8_t> PortMapping::map_request(const Slot& slot, std::chrono::seconds lifetime) const {
  MapRequest request;
  request.transport = slot.wanted.transport;
  request.internal_port = slot.wanted.port;
  request.external_port = slot.grant ? slot.grant->port : slot.wanted.port;
  if (slot.grant) request.external = slot.grant->external;
  request.lifetime = static_cast<std::uint32_t>(lifetime.count());
  request.nonce = slot.nonce;
  const auto state = state_ == State::kLeaving ? leaving_ : state_;
  return state == State::kPcp ? pcp_map(request, network_->own) : nat_pmp_map(request);
}

void PortMapping::ask(Slot& slot, TimePoint now) {
  actions_.datagrams.push_back(map_request(slot, kLifetime));
  slot.next = now + kFirstWait * (1 << slot.tries);
  ++slot.tries;
}

void PortMapping::ask_all_again(TimePoint at) {
  for (auto& slot : slots_) {
    slot.tries = 0;
    slot.next = at;
  }
}

// One of PCP's or NAT-PMP's that is due.
void PortMapping::serve(Slot& slot, TimePoint now) {
  if (slot.tries < tries()) return ask(slot, now);
  slot.tries = 0;
  if (!is_confirmed_) return begin_next(now);
  if (!slot.grant) {
    slot.next = now + kCheck;
    return;
  }
  // Whoever mapped it does not answer any more, or now has something else to say.
  if (now >= slot.grant->expires) return begin(State::kPcp, now);
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(slot.grant->expires - now);
  slot.next =
      std::min(now + std::max<std::chrono::milliseconds>(left / 2, kLeastRenewal), slot.grant->expires);
}

void PortMapping::tick(TimePoint now) {
  if (state_ == State::kLeaving) return serve_leaving(now);
  if (state_ == State::kResting && now >= wake_at_) return begin(State::kPcp, now);
  if (state_ == State::kIgd && now >= wake_at_ && !is_igd_busy_) return start_igd(false);
  const auto state = state_;
  if (state != State::kPcp && state != State::kNatPmp) return;
  if (state == State::kNatPmp && now >= check_at_) {
    actions_.datagrams.push_back(nat_pmp_address());
    // Without it the mappings are of no use.
    const bool is_urgent = !outer_ && outer_tries_ < kNatPmpTries;
    check_at_ = now + (is_urgent ? kFirstWait * (1 << outer_tries_++) : std::chrono::milliseconds(kCheck));
  } else if (state == State::kPcp && now >= check_at_) {
    if (has_grants()) actions_.datagrams.push_back(pcp_announce(network_->own));
    check_at_ = now + kCheck;
  }
  for (auto& slot : slots_) {
    if (now >= slot.next) serve(slot, now);
    if (state_ != state) return;  // the rest is due there, not here
  }
}

PortMapping::TimePoint PortMapping::deadline() const {
  auto first = TimePoint::max();
  switch (state_) {
    case State::kIdle:
    case State::kLeft:
      return first;
    case State::kResting:
      return wake_at_;
    case State::kIgd:
      return is_igd_busy_ ? first : wake_at_;
    case State::kPcp:
    case State::kNatPmp:
      first = check_at_;
      break;
    case State::kLeaving:
      break;
  }
  for (const auto& slot : slots_) {
    if (state_ != State::kLeaving || slot.grant) first = std::min(first, slot.next);
  }
  return first;
}

// ---- Answers ----

void PortMapping::input(std::span<const std::uint8_t> datagram, bool is_announcement, TimePoint now) {
  const auto state = state_ == State::kLeaving ? leaving_ : state_;
  if (state != State::kPcp && state != State::kNatPmp) {
    // A router that has just started may know now what it did not know before.
    if (is_announcement && state_ == State::kResting && parse_map_answer(datagram)) begin(State::kPcp, now);
    return;
  }
  const auto answer = parse_map_answer(datagram);
  if (!answer) return;
  if (is_announcement) return on_announcement(answer->epoch, now);
  if (answer->result == MapResult::kOtherVersion) {
    // What answers to PCP with NAT-PMP's version is one that knows only that. A late copy of that must not
    // end NAT-PMP.
    if (state_ == State::kPcp || (state_ == State::kNatPmp && !is_confirmed_ && answer->code == 1 &&
                                  std::holds_alternative<MapAnswer::Mapped>(answer->content))) {
      begin_next(now);
    }
    return;
  }
  if (answer->is_pcp != (state == State::kPcp)) return;
  is_confirmed_ = true;
  if (answer->result == MapResult::kDone || answer->is_pcp) on_epoch(answer->epoch, now);
  if (const auto* own = std::get_if<MapAnswer::Address>(&answer->content)) {
    if (answer->result != MapResult::kDone || !is_outer(own->external, false)) return;
    if (outer_ != address(own->external)) actions_.is_changed = true;
    outer_ = own->external;
    check_at_ = now + kCheck;
  } else if (const auto* mapped = std::get_if<MapAnswer::Mapped>(&answer->content)) {
    on_mapped(*answer, *mapped, now);
  }
}

PortMapping::Slot* PortMapping::find(const MapAnswer::Mapped& mapped) {
  const auto found = std::ranges::find_if(slots_, [&](const Slot& slot) {
    return slot.wanted.transport == mapped.transport && slot.wanted.port == mapped.internal_port;
  });
  return found == slots_.end() ? nullptr : &*found;
}

void PortMapping::on_mapped(const MapAnswer& answer, const MapAnswer::Mapped& mapped, TimePoint now) {
  auto* slot = find(mapped);
  if (!slot || (answer.is_pcp && mapped.nonce != slot->nonce)) return;
  if (state_ == State::kLeaving) {
    if (mapped.lifetime == 0 || answer.result != MapResult::kDone) slot->grant.reset();
    return serve_leaving(now);
  }
  if (answer.result != MapResult::kDone) return on_refused(*slot, answer, mapped.lifetime, now);
  const bool is_usable = mapped.lifetime > 0 && mapped.external_port != 0 &&
                         (!answer.is_pcp || (mapped.external && is_outer(*mapped.external, is_v6())));
  if (!is_usable) return;
  const auto lifetime = life(mapped.lifetime);
  Grant grant{mapped.external.value_or(address()), mapped.external_port, now + lifetime};
  const bool is_same =
      slot->grant && slot->grant->external == grant.external && slot->grant->port == grant.port;
  if (!is_same) actions_.is_changed = true;
  slot->grant = grant;
  slot->is_refused = false;
  slot->tries = 0;
  slot->next = now + lifetime / 2;
  problem_.clear();
}

void PortMapping::on_refused(Slot& slot, const MapAnswer& answer, std::uint32_t lifetime, TimePoint now) {
  problem_ = "the router refuses: " + map_result_text(answer);
  if (slot.grant) actions_.is_changed = true;
  slot.grant.reset();
  slot.is_refused = true;
  slot.tries = 0;
  slot.next =
      now + (answer.is_pcp && answer.result == MapResult::kNotNow ? std::min(life(lifetime), kRefusedRest)
                                                                  : kRefusedRest);
  if (std::ranges::all_of(slots_, [](const Slot& one) { return one.is_refused; })) begin_next(now);
}

void PortMapping::on_epoch(std::uint32_t epoch, TimePoint now) {
  const auto before = std::exchange(epoch_, Epoch{epoch, now});
  if (!before || state_ == State::kLeaving) return;
  const auto passed = std::chrono::duration_cast<std::chrono::seconds>(now - before->ours);
  if (has_restarted(before->theirs, epoch, passed)) ask_all_again(now);
}

// Both protocols of a router have one epoch. One that has just begun says more than the comparison, which
// cannot tell a router that started twice within seconds.
void PortMapping::on_announcement(std::uint32_t epoch, TimePoint now) {
  if (state_ == State::kLeaving || now < believe_at_) return;
  const auto before = std::exchange(epoch_, Epoch{epoch, now});
  const auto passed = before ? std::chrono::duration_cast<std::chrono::seconds>(now - before->ours) : 0s;
  if (epoch > kYoung && (!before || !has_restarted(before->theirs, epoch, passed))) return;
  believe_at_ = now + kAnnouncementPause;
  ask_all_again(now +
                std::chrono::milliseconds(random_() % static_cast<unsigned>(kAnnouncementJitter.count())));
}

void PortMapping::on_unreachable(TimePoint now) {
  if (is_confirmed_) return;
  if (is_v6() && state_ == State::kPcp) return begin_next(now);
  // Both protocols have that port.
  if (!is_v6() && (state_ == State::kPcp || state_ == State::kNatPmp)) begin(State::kIgd, now);
}

// ---- UPnP ----

void PortMapping::start_igd(bool is_removal) {
  IgdJob job;
  job.id = ++igd_id_;
  job.is_removal = is_removal;
  job.lifetime = kLifetime;
  for (const auto& slot : slots_) {
    if (is_removal && !slot.grant) continue;
    job.mappings.push_back({slot.wanted.transport, slot.wanted.port,
                            slot.grant ? slot.grant->external : address(),
                            slot.grant ? slot.grant->port : slot.wanted.port});
  }
  is_igd_busy_ = true;
  is_igd_removing_ = is_removal;
  actions_.igd = std::move(job);
}

void PortMapping::on_igd(const IgdResult& result, TimePoint now) {
  if (!is_igd_busy_ || result.id != igd_id_) return;
  is_igd_busy_ = false;
  if (state_ == State::kLeaving) {
    take_igd(is_igd_removing_ ? IgdResult() : result, now);
    // Made after leave().
    if (has_grants()) return start_igd(true);
    state_ = State::kLeft;
    return;
  }
  take_igd(result, now);
  if (!result.problem.empty()) problem_ = result.problem;
  if (!has_grants()) return rest(now);
  problem_.clear();
  wake_at_ = now + kIgdRenewal;
}

void PortMapping::take_igd(const IgdResult& result, TimePoint now) {
  for (auto& slot : slots_) {
    const auto found = std::ranges::find_if(result.mapped, [&](const PortMapped& one) {
      return one.transport == slot.wanted.transport && one.internal_port == slot.wanted.port &&
             one.external_port != 0 && is_outer(one.external, false);
    });
    std::optional<Grant> grant;
    if (found != result.mapped.end()) grant = Grant{found->external, found->external_port, now + kLifetime};
    const bool is_same =
        grant.has_value() == slot.grant.has_value() &&
        (!grant || (grant->external == slot.grant->external && grant->port == slot.grant->port));
    if (!is_same) actions_.is_changed = true;
    slot.grant = grant;
  }
}

// ---- The end ----

void PortMapping::leave(TimePoint now) {
  if (state_ == State::kLeaving || state_ == State::kLeft) return;
  const bool was_igd = state_ == State::kIgd;
  const bool is_making = was_igd && is_igd_busy_ && !has_grants();
  if (!has_grants() && !is_making) {
    state_ = State::kLeft;
    return;
  }
  leaving_ = std::exchange(state_, State::kLeaving);
  if (is_making) return;
  // What runs may still make mappings: its result counts no more.
  if (was_igd) return start_igd(true);
  ask_all_again(now);
  serve_leaving(now);
}

void PortMapping::serve_leaving(TimePoint now) {
  if (leaving_ == State::kIgd) return;
  for (auto& slot : slots_) {
    if (!slot.grant || now < slot.next) continue;
    if (slot.tries == kRemovalTries) {
      slot.grant.reset();
      continue;
    }
    actions_.datagrams.push_back(map_request(slot, 0s));
    slot.next = now + kRemovalWait;
    ++slot.tries;
  }
  if (!has_grants()) state_ = State::kLeft;
}

}  // namespace sixlink::mesh
