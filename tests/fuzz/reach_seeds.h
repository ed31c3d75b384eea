// SPDX-License-Identifier: BSD-3-Clause
// What reach_fuzz.cc begins with: answers of routers that the machine believes, as its nonces come of a fixed
// seed.
#pragma once

#include <set>
#include <string>

#include "src/mesh/lan_beacon.h"
#include "src/mesh/port_mapping.h"

namespace sixlink::fuzz {

inline constexpr std::uint64_t kReachSeed = 7;
inline std::vector<mesh::PortMapping::Wanted> reach_wanted() {
  return {{mesh::Transport::kUdp, 3653}, {mesh::Transport::kTcp, 443}};
}
inline mesh::PortMapping::Network reach_network() {
  return {boost::asio::ip::make_address("192.0.2.2"), boost::asio::ip::make_address("192.0.2.1")};
}

inline std::string reach_step(char kind, const std::string& bytes) {
  const auto size = static_cast<unsigned>(bytes.size());
  return std::string{kind, static_cast<char>(size >> 8), static_cast<char>(size)} + bytes;
}

inline std::set<std::string> reach_seeds() {
  mesh::PortMapping mapping(reach_wanted(), kReachSeed);
  mapping.set_network(reach_network(), mesh::PortMapping::TimePoint(std::chrono::hours(100)));
  std::string pcp;
  for (auto request : mapping.take_actions().datagrams) {
    std::string answer(request.begin(), request.end());
    answer[1] = static_cast<char>(0x81);
    answer.replace(8, 16, std::string("\0\0\1\0", 4) + std::string(12, '\0'));
    answer.replace(56, 4, "\xcb\x00\x71\x09", 4);
    pcp += reach_step(0, answer);
  }
  const auto bytes = [](std::initializer_list<int> values) {
    std::string text;
    for (const int value : values) text += static_cast<char>(value);
    return text;
  };
  const auto version = reach_step(0, bytes({0, 129, 0, 1, 0, 0, 0, 9}));
  const auto address = reach_step(0, bytes({0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 9}));
  const auto udp = reach_step(0, bytes({0, 129, 0, 0, 0, 0, 0, 9, 0x0e, 0x45, 0x10, 0, 0, 0, 0x1c, 0x20}));
  const auto tcp = reach_step(0, bytes({0, 130, 0, 0, 0, 0, 0, 9, 0x01, 0xbb, 0x10, 1, 0, 0, 0x1c, 0x20}));
  const auto announced = reach_step(1, bytes({2, 128, 0, 0, 0, 0, 0, 0}) + std::string(16, '\0'));
  const auto tick = reach_step(2, "");
  const auto igd = reach_step(3, "mapped udp 3653 203.0.113.9 40000\nproblem refused (718)\n");
  const std::vector<std::uint8_t> contact(60, 7);
  const auto beacon_bytes = mesh::to_bytes({3653, contact});
  const auto beacon = reach_step(4, std::string(beacon_bytes.begin(), beacon_bytes.end()));
  return {pcp + tick + tick + announced + tick + tick + reach_step(7, ""),
          version + address + udp + tcp + tick + tick + tick + reach_step(7, "") + tick + tick,
          reach_step(6, "") + igd + tick + igd + tick + igd + reach_step(7, "") + igd,
          beacon + beacon + reach_step(4, "SLNK"),
          reach_step(5, bytes({0, 3, 1, 2, 3, 0, 0, 0, 2, 1})) + reach_step(5, bytes({9, 0x40, 0}))};
}

}  // namespace sixlink::fuzz
