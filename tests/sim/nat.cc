// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/nat.h"

namespace sixlink::sim {

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
  auto& mapping = mappings_[key(kinds_.mapping, to)];
  if (mapping.port == 0 || mapping.until <= now) {
    // The first keeps its port (REQ-3 allows it), others get what is free.
    std::uint16_t port = inner_port;
    std::uniform_int_distribution<int> any(1024, 65535);
    for (auto taken = ports_.find(port); taken != ports_.end() && taken->second > now;
         taken = ports_.find(port))
      port = static_cast<std::uint16_t>(any(random));
    mapping.port = port;
  }
  mapping.until = now + kLife;
  ports_[mapping.port] = mapping.until;
  sessions_[session_key(mapping.port, key(kinds_.filtering, to))] = mapping.until;
  return mapping.port;
}

bool Nat::lets_in(std::uint16_t outer_port, const Address& from, TimePoint now) const {
  const auto session = sessions_.find(session_key(outer_port, key(kinds_.filtering, from)));
  return session != sessions_.end() && session->second > now;
}

void Nat::reset() {
  mappings_.clear();
  sessions_.clear();
  ports_.clear();
}

void Nat::forget_old(TimePoint now) {
  std::erase_if(mappings_, [&](const auto& one) { return one.second.until <= now; });
  std::erase_if(sessions_, [&](const auto& one) { return one.second <= now; });
  std::erase_if(ports_, [&](const auto& one) { return one.second <= now; });
}

}  // namespace sixlink::sim
