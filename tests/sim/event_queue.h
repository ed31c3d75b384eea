// SPDX-License-Identifier: BSD-3-Clause
// What is to happen, in order: a wheel of slots of a millisecond each (G. Varghese, A. Lauck, "Hashed and
// Hierarchical Timing Wheels", SOSP 1987), so that only what happens in the same millisecond is sorted, and
// what is far ahead waits apart. Ten thousand nodes have a hundred thousand events before them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace sixlink::sim {

// `Event` has `at`, not before what was taken last, and compares by when it happens.
template <typename Event>
class EventQueue {
 public:
  void push(const Event& event) {
    ++size_;
    const auto slot = slot_of(event);
    if (slot <= slot_) {
      open_.push_back(event);
      std::ranges::push_heap(open_, std::greater<>());
    } else if (slot - slot_ < kSlots) {
      put(slot, event);
    } else {
      far_.push(event);
    }
  }

  bool empty() const { return size_ == 0; }

  // The first; there is one.
  const Event& top() {
    while (open_.empty()) advance();
    return open_.front();
  }
  void pop() {
    std::ranges::pop_heap(open_, std::greater<>());
    open_.pop_back();
    --size_;
  }

 private:
  static constexpr std::uint64_t kSlots = 8192;
  static constexpr int kSlotBits = 20;  // of a nanosecond count: 1.05 ms

  static std::uint64_t slot_of(const Event& event) {
    return static_cast<std::uint64_t>(event.at.time_since_epoch().count()) >> kSlotBits;
  }

  void put(std::uint64_t slot, const Event& event) {
    auto& events = wheel_[slot % kSlots];
    if (events.capacity() == 0 && !spare_.empty()) {
      events = std::move(spare_.back());
      spare_.pop_back();
    }
    events.push_back(event);
    ++in_wheel_;
  }

  void advance() {
    slot_ = in_wheel_ == 0 ? slot_of(far_.top()) : slot_ + 1;
    while (!far_.empty() && slot_of(far_.top()) - slot_ < kSlots) {
      put(slot_of(far_.top()), far_.top());
      far_.pop();
    }
    auto& slot = wheel_[slot_ % kSlots];
    in_wheel_ -= slot.size();
    if (open_.capacity() != 0) spare_.push_back(std::move(open_));
    open_ = std::exchange(slot, {});
    std::ranges::make_heap(open_, std::greater<>());
  }

  std::uint64_t slot_ = 0;
  std::vector<Event> open_;  // a heap: of this slot, or before it
  std::array<std::vector<Event>, kSlots> wheel_;
  std::vector<std::vector<Event>> spare_;  // empty, with the memory of slots that are over
  std::size_t in_wheel_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> far_;
  std::size_t size_ = 0;
};

}  // namespace sixlink::sim
