// SPDX-License-Identifier: BSD-3-Clause
// How long packets take between any two machines of a simulated Internet: a point in a plane and a height
// above it for each, the model of Dabek, Cox, Kaashoek and Morris, "Vivaldi: A Decentralized Network
// Coordinate System", SIGCOMM 2004. tests/sim/README.md has the figures and where they are from.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace sixlink::sim {

// Scrambles 64 bits (the finaliser of Steele, Lea and Flood's SplitMix, OOPSLA 2014).
std::uint64_t scramble(std::uint64_t value);

class Delays {
 public:
  // One machine for each of `at_home`: behind a home's access line or not.
  Delays(const std::vector<bool>& at_home, std::uint64_t seed);

  std::size_t size() const { return places_.size(); }
  // The same in both directions, and each time.
  std::chrono::microseconds round_trip(std::uint32_t a, std::uint32_t b) const;

 private:
  struct Place {
    float x, y;    // ms of round trip
    float height;  // the access line's part of it
  };
  std::vector<Place> places_;
  std::uint64_t seed_;
};

}  // namespace sixlink::sim
