// SPDX-License-Identifier: BSD-3-Clause
// A home's translator of addresses, with the two behaviours that RFC 4787 tells apart: how it maps (section
// 4.1) and what it lets in (section 5). State and timers are those of a real one.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <random>
#include <unordered_map>

namespace sixlink::sim {

using TimePoint = std::chrono::steady_clock::time_point;

// Of the simulated Internet.
struct Address {
  std::uint32_t ip = 0;
  std::uint16_t port = 0;

  friend auto operator<=>(const Address&, const Address&) = default;
};

// Of what of the other's address something depends.
enum class Dependence : std::uint8_t { kNone, kAddress, kAddressAndPort };

struct NatKinds {
  Dependence mapping = Dependence::kNone;
  Dependence filtering = Dependence::kNone;
};

class Nat {
 public:
  // REQ-5: not less than two minutes.
  static constexpr std::chrono::seconds kLife{120};
  static constexpr std::size_t kMostSessions = 4096;

  explicit Nat(NatKinds kinds) : kinds_(kinds) {}

  // The port outside that a packet from the machine's `inner_port` to `to` gets. Opens or refreshes.
  std::uint16_t out(std::uint16_t inner_port, const Address& to, TimePoint now, std::mt19937_64& random);
  // Whether a packet from `from` to this port outside reaches the machine.
  bool lets_in(std::uint16_t outer_port, const Address& from, TimePoint now) const;
  // Everything is forgotten, as after its power was cut.
  void reset();
  std::size_t sessions() const { return sessions_.size(); }

 private:
  struct Mapping {
    std::uint16_t port = 0;
    TimePoint until{};
  };
  static std::uint64_t key(Dependence dependence, const Address& other);
  static std::uint64_t session_key(std::uint16_t port, std::uint64_t filtered) {
    return (static_cast<std::uint64_t>(port) << 48) | filtered;
  }
  void forget_old(TimePoint now);

  NatKinds kinds_;
  std::unordered_map<std::uint64_t, Mapping> mappings_;  // by the other's address, as far as it matters
  std::unordered_map<std::uint64_t, TimePoint> sessions_;
  std::unordered_map<std::uint16_t, TimePoint> ports_;  // taken until
};

}  // namespace sixlink::sim
