// SPDX-License-Identifier: BSD-3-Clause
// A home's translator of addresses, with the two behaviours that RFC 4787 tells apart: how it maps (section
// 4.1) and what it lets in (section 5). State and timers are those of a real one.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <random>
#include <vector>

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

// What a translator remembers, each thing until it is over; flat, as every packet looks into several.
class NatTable {
 public:
  struct Entry {
    std::uint64_t key = 0;
    TimePoint until = TimePoint::min();  // that: free
    std::uint16_t port = 0;
  };

  // Null: there is none, or it is over.
  const Entry* find(std::uint64_t key, TimePoint now) const;
  // That one, or a new one: its port is 0. Valid until the next one is made.
  Entry& get(std::uint64_t key, TimePoint now);
  void forget_old(TimePoint now);
  void clear();
  std::size_t size() const { return size_; }

 private:
  std::size_t place_of(std::uint64_t key) const;
  void move_to(std::size_t places, TimePoint now);

  std::vector<Entry> entries_;  // as many as a power of two; at most half of them are used
  std::size_t size_ = 0;
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
  static std::uint64_t key(Dependence dependence, const Address& other);
  static std::uint64_t session_key(std::uint16_t port, std::uint64_t filtered) {
    return (static_cast<std::uint64_t>(port) << 48) | filtered;
  }
  void forget_old(TimePoint now);

  NatKinds kinds_;
  NatTable mappings_;  // by the other's address, as far as it matters
  NatTable sessions_;
  NatTable ports_;  // that are taken
};

}  // namespace sixlink::sim
