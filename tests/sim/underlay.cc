// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/underlay.h"

#include <array>

namespace sixlink::sim {
namespace {

constexpr std::array<const char*, kAccesses> kNames{"public",          "full cone", "address-restricted",
                                                    "port-restricted", "symmetric", "UDP blocked"};

std::optional<NatKinds> translator_of(Access access) {
  switch (access) {
    case Access::kPublic:
      return std::nullopt;
    case Access::kFullCone:
      return NatKinds{Dependence::kNone, Dependence::kNone};
    case Access::kAddressFilter:
      return NatKinds{Dependence::kNone, Dependence::kAddress};
    case Access::kPortFilter:
      return NatKinds{Dependence::kNone, Dependence::kAddressAndPort};
    case Access::kSymmetric:
    case Access::kUdpBlocked:
      break;
  }
  return NatKinds{Dependence::kAddressAndPort, Dependence::kAddressAndPort};
}

}  // namespace

const char* to_string(Access access) {
  return kNames[static_cast<std::size_t>(access)];
}

std::vector<Underlay::Machine> Underlay::make_machines(const UnderlaySettings& settings) {
  std::mt19937_64 random(scramble(settings.seed + 1));
  std::discrete_distribution<int> pick(settings.mix.begin(), settings.mix.end());
  std::vector<Machine> machines;
  machines.reserve(settings.machines);
  for (std::size_t i = 0; i < settings.machines; ++i) {
    Machine machine{static_cast<Access>(pick(random)), {}, {}, {}};
    if (const auto kinds = translator_of(machine.access)) {
      machine.udp.emplace(*kinds);
      machine.tcp.emplace(NatKinds{Dependence::kAddressAndPort, Dependence::kAddressAndPort});
    }
    machines.push_back(std::move(machine));
  }
  return machines;
}

// The registry is the machine after the last.
std::vector<bool> Underlay::homes(const std::vector<Machine>& machines) {
  std::vector<bool> at_home;
  at_home.reserve(machines.size() + 1);
  for (const auto& machine : machines) at_home.push_back(machine.access != Access::kPublic);
  at_home.push_back(false);
  return at_home;
}

Underlay::Underlay(const UnderlaySettings& settings)
    : settings_(settings),
      machines_(make_machines(settings)),
      delays_(homes(machines_), settings.seed + 2),
      random_(scramble(settings.seed + 3)) {}

bool Underlay::is_lost() {
  return std::uniform_real_distribution<double>()(random_) < settings_.loss;
}

std::chrono::nanoseconds Underlay::one_way(std::uint32_t a, std::uint32_t b) {
  const auto fixed = std::chrono::nanoseconds(delays_.round_trip(a, b)) / 2;
  if (settings_.jitter.count() == 0) return fixed;
  std::exponential_distribution<double> more(1.0 / static_cast<double>(settings_.jitter.count()));
  return fixed + std::chrono::nanoseconds(static_cast<std::int64_t>(more(random_) * 1000));
}

std::optional<Underlay::Passage> Underlay::send(std::uint32_t from, const Address& to, Protocol protocol,
                                                TimePoint now) {
  auto& machine = machines_[from];
  const bool is_udp = protocol == Protocol::kUdp;
  if (is_udp && machine.access == Access::kUdpBlocked) return std::nullopt;
  Address source = outside(from);
  if (auto& nat = is_udp ? machine.udp : machine.tcp) source.port = nat->out(kPort, to, now, random_);
  // Private addresses lead nowhere: each translator has one machine behind it.
  if (to.ip < kOutsideBlock || to.ip >= kOutsideBlock + machines_.size()) return std::nullopt;
  const auto target = to.ip - kOutsideBlock;
  if (target == from || is_cut(from, target)) return std::nullopt;
  auto delay = one_way(from, target);
  if (is_udp) {
    if (is_lost()) return std::nullopt;
  } else if (to.port == kPort &&
             machine.connected.insert((static_cast<std::uint64_t>(to.ip) << 16) | to.port).second) {
    // TCP's handshake, and TLS's (RFC 8446).
    delay += 2 * std::chrono::nanoseconds(delays_.round_trip(from, target));
  }
  return Passage{target, source, delay};
}

bool Underlay::lets_in(std::uint32_t machine, const Address& at, const Address& source, Protocol protocol,
                       TimePoint now) const {
  const auto& one = machines_[machine];
  const bool is_udp = protocol == Protocol::kUdp;
  if (is_udp && one.access == Access::kUdpBlocked) return false;
  const auto& nat = is_udp ? one.udp : one.tcp;
  return nat ? nat->lets_in(at.port, source, now) : at.port == kPort;
}

}  // namespace sixlink::sim
