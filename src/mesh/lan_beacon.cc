// SPDX-License-Identifier: BSD-3-Clause
// Beacons of the local network.
#include "src/mesh/lan_beacon.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

#include "src/net/big_endian.h"

namespace sixlink::mesh {
namespace {

constexpr std::array<std::uint8_t, 4> kMagic{'S', 'L', 'N', 'K'};

std::size_t digest_of(std::span<const std::uint8_t> bytes) {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

std::vector<std::uint8_t> to_bytes(const Beacon& beacon) {
  std::vector<std::uint8_t> bytes(kBeaconHeader);
  std::ranges::copy(kMagic, bytes.begin());
  bytes[4] = kBeaconVersion;
  net::put16(bytes, 6, beacon.port);
  bytes.insert(bytes.end(), beacon.contact.begin(), beacon.contact.end());
  return bytes;
}

std::optional<Beacon> parse_beacon(std::span<const std::uint8_t> datagram) {
  if (datagram.size() <= kBeaconHeader || datagram.size() > kLargestBeacon) return std::nullopt;
  if (!std::ranges::equal(kMagic, datagram.first(kMagic.size())) || datagram[4] != kBeaconVersion)
    return std::nullopt;
  const Beacon beacon{net::get16(datagram, 6), datagram.subspan(kBeaconHeader)};
  if (beacon.port == 0) return std::nullopt;
  return beacon;
}

bool LanBeacon::Budget::take(double at_once, double a_second, TimePoint now) {
  const auto passed = std::chrono::duration<double>(now - since).count();
  tokens = std::min(at_once, tokens + passed * a_second);
  since = now;
  if (tokens < 1) return false;
  tokens -= 1;
  return true;
}

std::chrono::milliseconds LanBeacon::random_time(std::chrono::milliseconds most) {
  return std::chrono::milliseconds(random_() % static_cast<std::uint64_t>(most.count() + 1));
}

void LanBeacon::set_scopes(const std::vector<Scope>& scopes, TimePoint now) {
  std::erase_if(segments_,
                [&](const auto& entry) { return std::ranges::find(scopes, entry.first) == scopes.end(); });
  std::erase_if(senders_, [&](const auto& entry) { return !segments_.contains(entry.first.first); });
  for (const auto scope : scopes) {
    const auto [entry, is_new] = segments_.try_emplace(scope);
    if (is_new) entry->second = {now + random_time(kSoon), kEarlyBeacons - 1};
  }
}

// Somebody is there who has not heard us yet.
void LanBeacon::hurry(Segment& segment, TimePoint now) {
  segment.next = std::min(segment.next, now + random_time(kSoon));
}

std::vector<LanBeacon::Scope> LanBeacon::due(TimePoint now) {
  std::vector<Scope> scopes;
  for (auto& [scope, segment] : segments_) {
    if (now < segment.next) continue;
    scopes.push_back(scope);
    if (segment.early > 0) {
      --segment.early;
      segment.next = now + kSoon + random_time(kSoon);
    } else {
      segment.next = now + kInterval - kJitter + random_time(2 * kJitter);
    }
  }
  return scopes;
}

LanBeacon::TimePoint LanBeacon::deadline() const {
  auto first = TimePoint::max();
  for (const auto& [scope, segment] : segments_) first = std::min(first, segment.next);
  return first;
}

std::optional<LanBeacon::Heard> LanBeacon::hear(std::span<const std::uint8_t> datagram, const Endpoint& from,
                                                std::span<const std::uint8_t> own, TimePoint now) {
  const auto segment =
      from.address().is_v6() ? segments_.find(from.address().to_v6().scope_id()) : segments_.end();
  const auto beacon = parse_beacon(datagram);
  if (!beacon || segment == segments_.end() || !from.address().to_v6().is_link_local()) {
    ++malformed_;
    return std::nullopt;
  }
  if (std::ranges::equal(beacon->contact, own)) return std::nullopt;
  ++heard_;
  const SenderKey key{segment->first, from.address().to_v6()};
  auto known = senders_.find(key);
  const auto digest = digest_of(beacon->contact);
  if (known != senders_.end() && known->second.digest == digest &&
      now - known->second.handed_on < kRepetition)
    return std::nullopt;
  if (known == senders_.end()) {
    // With so many senders somebody invents them: all begin anew, under the common limit.
    if (senders_.size() == kMostSenders) senders_.clear();
    known = senders_.emplace(key, Sender{{kMostOfOneAtOnce, now}, 0, {}}).first;
    // So that a stranger cannot have us send more often than a node that has just started.
    if (all_.tokens >= 1) hurry(segment->second, now);
  }
  if (!known->second.budget.take(kMostOfOneAtOnce, kMostOfOneASecond, now) ||
      !all_.take(kMostAtOnce, kMostASecond, now)) {
    ++rate_limited_;
    return std::nullopt;
  }
  known->second.digest = digest;
  known->second.handed_on = now;
  return Heard{{from.address(), beacon->port}, beacon->contact};
}

}  // namespace sixlink::mesh
