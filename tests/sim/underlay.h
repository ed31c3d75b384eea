// SPDX-License-Identifier: BSD-3-Clause
// The simulated Internet: every machine's address and way in and out, delays, loss, and cuts through all of
// it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "tests/sim/delays.h"
#include "tests/sim/nat.h"

namespace sixlink::sim {

// Ports and addresses of the machines: 198.18.0.0/15, the benchmarks' block (RFC 2544), outside, and
// 10.0.0.0/8 behind translators.
constexpr std::uint16_t kPort = 3653;
constexpr std::uint32_t kOutsideBlock = 0xC6120000;
constexpr std::uint32_t kInsideBlock = 0x0A000000;
constexpr std::size_t kMostMachines = 1 << 17;

// How a machine hangs on the Internet.
enum class Access : std::uint8_t {
  kPublic,
  kFullCone,       // maps and filters independently of the other's address
  kAddressFilter,  // maps independently, lets in from addresses that were written to
  kPortFilter,     // maps independently, lets in from endpoints that were written to
  kSymmetric,      // maps and filters by the other's endpoint
  kUdpBlocked,     // symmetric, and TCP only
};
constexpr std::size_t kAccesses = 6;
const char* to_string(Access access);

// Shares of the accesses, in their order.
using AccessMix = std::array<double, kAccesses>;

struct UnderlaySettings {
  std::size_t machines = 0;
  AccessMix mix{};
  double loss = 0.005;                     // of each packet
  std::chrono::microseconds jitter{1000};  // the mean of what comes on top, exponential
  std::uint64_t seed = 1;
};

enum class Protocol : std::uint8_t { kUdp, kTcp };

class Underlay {
 public:
  explicit Underlay(const UnderlaySettings& settings);

  struct Passage {
    std::uint32_t machine;  // where it goes
    Address source;         // as it is seen there
    std::chrono::nanoseconds delay;
  };
  // A packet that leaves. nullopt: lost, or there is no such way.
  std::optional<Passage> send(std::uint32_t from, const Address& to, Protocol protocol, TimePoint now);
  // Whether one that was sent to `at` gets to the machine when it arrives.
  bool lets_in(std::uint32_t machine, const Address& at, const Address& source, Protocol protocol,
               TimePoint now) const;

  // Machines of different sides do not hear each other; an empty list heals it.
  void cut(std::vector<std::uint8_t> sides) { sides_ = std::move(sides); }
  bool is_cut(std::uint32_t a, std::uint32_t b) const { return !sides_.empty() && sides_[a] != sides_[b]; }

  Access access(std::uint32_t machine) const { return machines_[machine].access; }
  Address outside(std::uint32_t machine) const { return {kOutsideBlock + machine, kPort}; }
  Address inside(std::uint32_t machine) const { return {kInsideBlock + machine, kPort}; }
  const Delays& delays() const { return delays_; }
  // One way, as now; with its jitter.
  std::chrono::nanoseconds one_way(std::uint32_t a, std::uint32_t b);
  bool is_lost();

 private:
  struct Machine {
    Access access;
    std::optional<Nat> udp;
    std::optional<Nat> tcp;
    std::unordered_set<std::uint64_t> connected;  // TCP: connections take two round trips more
  };
  static std::vector<Machine> make_machines(const UnderlaySettings& settings);
  static std::vector<bool> homes(const std::vector<Machine>& machines);

  UnderlaySettings settings_;
  std::vector<Machine> machines_;
  Delays delays_;
  std::mt19937_64 random_;
  std::vector<std::uint8_t> sides_;
};

}  // namespace sixlink::sim
