// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/nat.h"

#include <algorithm>
#include <utility>

namespace sixlink::sim {
namespace {

constexpr std::size_t kFewest = 8;

}  // namespace

// Where the key is, or would be. There is a free place.
std::size_t NatTable::place_of(std::uint64_t key) const {
  const auto last = entries_.size() - 1;
  auto place = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15) >> 32) & last;
  while (entries_[place].until != TimePoint::min() && entries_[place].key != key) place = (place + 1) & last;
  return place;
}

const NatTable::Entry* NatTable::find(std::uint64_t key, TimePoint now) const {
  if (entries_.empty()) return nullptr;
  const auto& entry = entries_[place_of(key)];
  return entry.until > now ? &entry : nullptr;
}

NatTable::Entry& NatTable::get(std::uint64_t key, TimePoint now) {
  if (2 * (size_ + 1) > entries_.size()) {
    forget_old(now);
    if (4 * (size_ + 1) > entries_.size()) move_to(std::max(kFewest, 2 * entries_.size()), now);
  }
  auto& entry = entries_[place_of(key)];
  if (entry.until <= now) {
    if (entry.until == TimePoint::min()) ++size_;
    entry = {key, now, 0};
  }
  return entry;
}

void NatTable::forget_old(TimePoint now) {
  if (!entries_.empty()) move_to(entries_.size(), now);
}

void NatTable::move_to(std::size_t places, TimePoint now) {
  const auto before = std::exchange(entries_, std::vector<Entry>(places));
  size_ = 0;
  for (const auto& entry : before) {
    if (entry.until <= now) continue;
    entries_[place_of(entry.key)] = entry;
    ++size_;
  }
}

void NatTable::clear() {
  entries_.clear();
  size_ = 0;
}

std::uint64_t Nat::key(Dependence dependence, const Address& other) {
  switch (dependence) {
    case Dependence::kNone:
      return 0;
    case Dependence::kAddress:
      return static_cast<std::uint64_t>(other.ip) << 16;
    case Dependence::kAddressAndPort:
      break;
  }
  return (static_cast<std::uint64_t>(other.ip) << 16) | other.port;
}

std::uint16_t Nat::out(std::uint16_t inner_port, const Address& to, TimePoint now, std::mt19937_64& random) {
  if (sessions_.size() >= kMostSessions) forget_old(now);
  auto& mapping = mappings_.get(key(kinds_.mapping, to), now);
  if (mapping.port == 0) {
    // The first keeps its port (REQ-3 allows it), others get what is free.
    std::uint16_t port = inner_port;
    std::uniform_int_distribution<int> any(1024, 65535);
    while (ports_.find(port, now)) port = static_cast<std::uint16_t>(any(random));
    mapping.port = port;
  }
  mapping.until = now + kLife;
  ports_.get(mapping.port, now).until = mapping.until;
  sessions_.get(session_key(mapping.port, key(kinds_.filtering, to)), now).until = mapping.until;
  return mapping.port;
}

bool Nat::lets_in(std::uint16_t outer_port, const Address& from, TimePoint now) const {
  return sessions_.find(session_key(outer_port, key(kinds_.filtering, from)), now) != nullptr;
}

void Nat::reset() {
  mappings_.clear();
  sessions_.clear();
  ports_.clear();
}

void Nat::forget_old(TimePoint now) {
  mappings_.forget_old(now);
  sessions_.forget_old(now);
  ports_.forget_old(now);
}

}  // namespace sixlink::sim
