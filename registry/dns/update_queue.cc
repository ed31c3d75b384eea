// SPDX-License-Identifier: BSD-3-Clause
// Which changes are sent to the DNS server next, and when.
#include "registry/dns/update_queue.h"

#include <algorithm>
#include <tuple>

namespace sixlink::registry::dns {

void UpdateQueue::set(std::vector<Change> changes) {
  changes_ = std::move(changes);
  std::map<std::string, Zone> zones;
  std::map<Name, TimePoint> put_off;
  for (const auto& change : changes_) {
    const auto& [zone, name] = std::tie(change.record.zone, change.record.name);
    if (const auto known = zones_.find(zone); known != zones_.end()) {
      zones.try_emplace(zone, known->second);
    } else {
      zones.try_emplace(zone);
    }
    if (const auto known = put_off_.find({zone, name}); known != put_off_.end()) put_off.insert(*known);
  }
  zones_ = std::move(zones);
  put_off_ = std::move(put_off);
}

std::optional<UpdateQueue::Batch> UpdateQueue::next(TimePoint now) {
  // The zone after the last one first.
  std::vector<std::string> order;
  for (auto zone = zones_.upper_bound(last_zone_); zone != zones_.end(); ++zone) order.push_back(zone->first);
  for (auto zone = zones_.begin(); zone != zones_.upper_bound(last_zone_); ++zone)
    order.push_back(zone->first);
  for (const auto& name : order) {
    const auto& zone = zones_.at(name);
    if (zone.not_before > now) continue;
    Batch batch;
    batch.zone = name;
    const Change* last = nullptr;
    for (const auto& change : changes_) {
      if (change.record.zone != name) continue;
      if (last == nullptr || last->record.name != change.record.name) {
        const auto wait = put_off_.find({name, change.record.name});
        if (wait != put_off_.end() && wait->second > now) continue;
        if (batch.names == zone.limit) break;
        ++batch.names;
      }
      last = &change;
      batch.changes.push_back(change);
    }
    if (batch.changes.empty()) continue;
    last_zone_ = name;
    return batch;
  }
  return std::nullopt;
}

void UpdateQueue::succeeded(const Batch& batch) {
  std::set<Name> done;
  for (const auto& change : batch.changes) done.emplace(change.record.zone, change.record.name);
  std::erase_if(changes_, [&](const Change& change) {
    return done.contains({change.record.zone, change.record.name});
  });
  for (const auto& name : done) put_off_.erase(name);
  auto& zone = zones_[batch.zone];
  zone.failures = 0;
  zone.not_before = TimePoint::min();
  zone.limit = std::min(kLargestBatch, std::max(zone.limit, batch.names) * 2);
  const bool is_done = std::none_of(changes_.begin(), changes_.end(),
                                    [&](const Change& change) { return change.record.zone == batch.zone; });
  if (is_done) zones_.erase(batch.zone);
}

void UpdateQueue::failed(const Batch& batch, Failure failure, TimePoint now) {
  auto& zone = zones_[batch.zone];
  ++zone.failures;
  const int doublings = std::min(zone.failures - 1, 10);
  const auto delay = std::min(kFirstDelay * (1 << doublings), kLongestDelay);
  std::uniform_real_distribution<double> jitter(0.8, 1.2);
  zone.not_before = now + std::chrono::milliseconds(static_cast<std::int64_t>(
                              static_cast<double>(delay.count()) * jitter(random_)));
  if (failure == Failure::kZone) return;
  zone.limit = std::max<std::size_t>(1, batch.names / 2);
  if (batch.names == 1) put_off_[{batch.zone, batch.changes.front().record.name}] = now + kPutOff;
}

std::optional<UpdateQueue::TimePoint> UpdateQueue::next_due() const {
  std::optional<TimePoint> earliest;
  for (const auto& change : changes_) {
    auto due = zones_.at(change.record.zone).not_before;
    const auto wait = put_off_.find({change.record.zone, change.record.name});
    if (wait != put_off_.end()) due = std::max(due, wait->second);
    if (!earliest || due < *earliest) earliest = due;
  }
  return earliest;
}

void UpdateQueue::retry_now() {
  for (auto& [name, zone] : zones_) zone.not_before = TimePoint::min();
  put_off_.clear();
}

int UpdateQueue::failures(const std::string& zone) const {
  const auto known = zones_.find(zone);
  return known == zones_.end() ? 0 : known->second.failures;
}

}  // namespace sixlink::registry::dns
