// SPDX-License-Identifier: BSD-3-Clause
// Finds the largest inner packet that a tunnel carries.
#include "src/tunnel/path_probe.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace sixlink::tunnel {
namespace {

// What paths really have: Ethernet, PPPoE, PPPoE over L2TP, DSL with ATM, tunnels within tunnels, mobile
// networks, IPv6's least.
constexpr std::array kOuterMtus{1500, 1492, 1480, 1472, 1460, 1454, 1450,
                                1440, 1430, 1420, 1400, 1358, 1300, 1280};

constexpr std::array<std::chrono::milliseconds, 3> kPauses{
    {std::chrono::milliseconds(1000), std::chrono::milliseconds(2000), std::chrono::milliseconds(2000)}};

constexpr int kIcmpHeaderSize = 8;

}  // namespace

PathProbe::PathProbe(const Settings& settings, TimePoint now) : settings_(settings), due_(now) {
  const auto add = [this](int size) {
    if (size >= settings_.least && size <= settings_.largest) sizes_.push_back(size);
  };
  add(settings_.largest);
  add(settings_.least);
  for (const int outer : kOuterMtus) add(outer - settings_.overhead);
  std::sort(sizes_.rbegin(), sizes_.rend());
  sizes_.erase(std::unique(sizes_.begin(), sizes_.end()), sizes_.end());
}

std::vector<EchoMessage> PathProbe::tick(TimePoint now) {
  std::vector<EchoMessage> echoes;
  if (now < due_) return echoes;
  if (round_ == kPauses.size()) {
    due_ = TimePoint::max();
    return echoes;
  }
  for (std::size_t i = 0; i < sizes_.size() && sizes_[i] > best_.value_or(0); ++i) {
    // The sequence tells the size.
    echoes.push_back({settings_.identifier, static_cast<std::uint16_t>(sizes_[i]), settings_.cookie,
                      static_cast<std::size_t>(sizes_[i])});
  }
  due_ = echoes.empty() ? TimePoint::max() : now + kPauses[round_];
  ++round_;
  return echoes;
}

bool PathProbe::input(const net::EchoReply& reply, TimePoint now) {
  if (reply.identifier != settings_.identifier || reply.payload.size() < sizeof settings_.cookie ||
      std::memcmp(reply.payload.data(), &settings_.cookie, sizeof settings_.cookie) != 0) {
    return false;
  }
  const int size = reply.sequence;
  const int headers = (settings_.is_v4 ? 20 : 40) + kIcmpHeaderSize;
  // Shortened on its way, or made up.
  if (static_cast<int>(reply.payload.size()) + headers != size ||
      std::find(sizes_.begin(), sizes_.end(), size) == sizes_.end()) {
    return true;
  }
  best_ = std::max(best_.value_or(0), size);
  if (!sizes_.empty() && *best_ == sizes_.front()) due_ = std::min(due_, now);
  return true;
}

}  // namespace sixlink::tunnel
