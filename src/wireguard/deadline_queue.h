// SPDX-License-Identifier: BSD-3-Clause
// Which peer is due next: one deadline for each, changed often.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "src/wireguard/protocol.h"

namespace sixlink::wireguard {

// A binary heap that knows where each slot stands in it. A hundred thousand peers take 2 MiB.
class DeadlineQueue {
 public:
  // TimePoint::max(): none.
  void set(std::uint32_t slot, TimePoint deadline) {
    if (slot >= places_.size()) places_.resize(slot + 1, kNowhere);
    auto place = places_[slot];
    if (deadline == TimePoint::max()) {
      if (place != kNowhere) remove(place);
      return;
    }
    if (place == kNowhere) {
      place = static_cast<std::uint32_t>(heap_.size());
      heap_.push_back({deadline, slot});
      places_[slot] = place;
    }
    heap_[place].deadline = deadline;
    sink(rise(place));
  }
  TimePoint next() const { return heap_.empty() ? TimePoint::max() : heap_.front().deadline; }
  // Of what is due at next(); only when there is something.
  std::uint32_t slot() const { return heap_.front().slot; }

 private:
  static constexpr std::uint32_t kNowhere = UINT32_MAX;
  struct Entry {
    TimePoint deadline;
    std::uint32_t slot;
  };

  void remove(std::uint32_t place) {
    places_[heap_[place].slot] = kNowhere;
    const auto last = heap_.back();
    heap_.pop_back();
    if (place == heap_.size()) return;
    put(place, last);
    sink(rise(place));
  }
  void put(std::uint32_t place, const Entry& entry) {
    heap_[place] = entry;
    places_[entry.slot] = place;
  }
  std::uint32_t rise(std::uint32_t place) {
    while (place > 0 && heap_[place].deadline < heap_[(place - 1) / 2].deadline) {
      exchange(place, (place - 1) / 2);
      place = (place - 1) / 2;
    }
    return place;
  }
  void sink(std::uint32_t place) {
    while (true) {
      auto least = place;
      for (auto child = 2 * place + 1; child <= 2 * place + 2 && child < heap_.size(); ++child) {
        if (heap_[child].deadline < heap_[least].deadline) least = child;
      }
      if (least == place) return;
      exchange(place, least);
      place = least;
    }
  }
  void exchange(std::uint32_t a, std::uint32_t b) {
    const auto entry = heap_[a];
    put(a, heap_[b]);
    put(b, entry);
  }

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> places_;  // by slot
};

}  // namespace sixlink::wireguard
