// SPDX-License-Identifier: BSD-3-Clause
// The counters of one lane: its thread adds, any thread reads.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "src/datapath/inner_filter.h"

namespace sixlink::datapath {

class LaneCounters {
 public:
  void add_in(std::uint64_t packets, std::uint64_t bytes) {
    add(packets_in_, packets);
    add(bytes_in_, bytes);
  }
  void add_out(std::uint64_t packets, std::uint64_t bytes) {
    add(packets_out_, packets);
    add(bytes_out_, bytes);
  }
  void drop(Drop reason, std::uint64_t packets = 1) {
    add(drops_[static_cast<std::size_t>(reason)], packets);
  }

  // Adds these to a sum.
  void add_to(Counters& sum) const {
    sum.packets_in += packets_in_.load(std::memory_order_relaxed);
    sum.packets_out += packets_out_.load(std::memory_order_relaxed);
    sum.bytes_in += bytes_in_.load(std::memory_order_relaxed);
    sum.bytes_out += bytes_out_.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < kDropReasons; ++i) sum.drops[i] += drops_[i].load(std::memory_order_relaxed);
  }

 private:
  using Count = std::atomic<std::uint64_t>;
  // One writer: a plain addition, not a locked one.
  static void add(Count& count, std::uint64_t more) {
    count.store(count.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }

  // Cache lines of its own: another lane's counters must not move them.
  alignas(64) Count packets_in_{0};
  Count packets_out_{0};
  Count bytes_in_{0};
  Count bytes_out_{0};
  std::array<Count, kDropReasons> drops_{};
};

}  // namespace sixlink::datapath
