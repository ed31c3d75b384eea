// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/delays.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <utility>

namespace sixlink::sim {
namespace {

// Where machines are: clusters in a plane whose unit is a millisecond of round trip.
struct Region {
  const char* name;
  double share;
  double x, y;
  double spread;  // standard deviation on each axis
};
constexpr std::array<Region, 6> kRegions{{
    {"North America", 0.40, 0, 0, 26},
    {"Europe", 0.32, 104, 0, 15},
    {"East and South Asia", 0.18, -70, 165, 36},
    {"South America", 0.04, 60, -135, 22},
    {"Oceania", 0.04, -160, 70, 16},
    {"Africa and Middle East", 0.02, 170, -70, 30},
}};

// Access lines: log-normal, in milliseconds.
constexpr double kMedianHeightOfServer = 4;
constexpr double kMedianHeightOfHome = 12;
constexpr double kSpreadOfHeight = 0.7;
constexpr double kHighest = 150;

// What a plane with heights does not explain: a median error of 11 % for 1,740 hosts in the paper, which is
// this standard deviation of the logarithm. It makes detours that are shorter than the direct way, as there
// are in the Internet.
constexpr double kUnexplained = 0.163;

constexpr double kShortest = 0.4;  // ms

// Of a normal distribution, near enough: the sum of four uniform ones.
double normal_of(std::uint64_t bits) {
  double sum = 0;
  for (int i = 0; i < 4; ++i) sum += static_cast<double>((bits >> (16 * i)) & 0xFFFF) / 65536.0;
  return (sum - 2.0) * std::sqrt(3.0);
}

}  // namespace

std::uint64_t scramble(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

Delays::Delays(const std::vector<bool>& at_home, std::uint64_t seed) : seed_(scramble(seed)) {
  std::mt19937_64 random(seed_);
  std::array<double, kRegions.size()> shares{};
  for (std::size_t i = 0; i < kRegions.size(); ++i) shares[i] = kRegions[i].share;
  std::discrete_distribution<std::size_t> pick(shares.begin(), shares.end());
  std::normal_distribution<double> normal;
  places_.reserve(at_home.size());
  for (const bool home : at_home) {
    const auto& region = kRegions[pick(random)];
    const double x = region.x + region.spread * normal(random);
    const double y = region.y + region.spread * normal(random);
    const double median = home ? kMedianHeightOfHome : kMedianHeightOfServer;
    const double height = std::min(median * std::exp(kSpreadOfHeight * normal(random)), kHighest);
    places_.push_back({static_cast<float>(x), static_cast<float>(y), static_cast<float>(height)});
  }
}

std::chrono::microseconds Delays::round_trip(std::uint32_t a, std::uint32_t b) const {
  if (a == b) return std::chrono::microseconds(50);
  if (a > b) std::swap(a, b);
  const auto& p = places_[a];
  const auto& q = places_[b];
  const double x = p.x - q.x;
  const double y = p.y - q.y;
  const double plane = std::sqrt(x * x + y * y);
  const auto pair = (static_cast<std::uint64_t>(a) << 32) | b;
  const double factor = std::exp(kUnexplained * normal_of(scramble(pair ^ seed_)));
  const double ms = std::max((plane + p.height + q.height) * factor, kShortest);
  return std::chrono::microseconds(static_cast<std::int64_t>(ms * 1000));
}

}  // namespace sixlink::sim
