// SPDX-License-Identifier: BSD-3-Clause
// What the threads that move a peer's packets tell its timers (whitepaper section 6.5), without locks.
#pragma once

#include <atomic>
#include <cstdint>

#include "src/wireguard/protocol.h"

namespace sixlink::wireguard {

// Lanes write it once a batch with the batch's time; Device reads it when the peer's deadline comes, or when
// a lane says so. A method that returns true asks for that: put the peer's id into the control thread's
// queue, which calls Device::wake(). It does so at most once until then, so a queue that is full may not lose
// it for good: call wake_failed().
class Activity {
 public:
  // Messages were sent; `packets` of them hold inner packets of `bytes` bytes in all (the others are
  // keepalives). Bytes are counted as `wg show` does: whole messages.
  [[nodiscard]] bool sent(TimePoint now, std::uint64_t packets, std::uint64_t bytes) {
    const auto time = stamp(now);
    last_sent_.store(time, std::memory_order_relaxed);
    keepalive_owed_since_.store(0, std::memory_order_relaxed);
    bytes_sent_.fetch_add(bytes, std::memory_order_relaxed);
    if (packets == 0) return false;
    packets_sent_.fetch_add(packets, std::memory_order_relaxed);
    if (reply_awaited_since_.load(std::memory_order_relaxed) != 0) return false;
    reply_awaited_since_.store(time, std::memory_order_relaxed);
    return arm();
  }

  // Authenticated messages came, none of them a repetition.
  [[nodiscard]] bool received(TimePoint now, std::uint64_t packets, std::uint64_t bytes) {
    const auto time = stamp(now);
    last_received_.store(time, std::memory_order_relaxed);
    reply_awaited_since_.store(0, std::memory_order_relaxed);
    bytes_received_.fetch_add(bytes, std::memory_order_relaxed);
    if (packets == 0) return false;
    packets_received_.fetch_add(packets, std::memory_order_relaxed);
    if (keepalive_owed_since_.load(std::memory_order_relaxed) != 0) return false;
    keepalive_owed_since_.store(time, std::memory_order_relaxed);
    return arm();
  }

  // Keypair::wants_rekey(), wants_rekey_on_receipt(), or a keypair that expired with packets to send.
  [[nodiscard]] bool ask_for_handshake() {
    if (is_handshake_asked_.load(std::memory_order_relaxed)) return false;
    return !is_handshake_asked_.exchange(true, std::memory_order_acq_rel);
  }
  // Keypair::confirm() was true: the control thread makes it the current one. Always asks.
  // (There is nothing to store: Device looks at the keypair.)

  // The control thread could not be told: whoever comes next asks again.
  void wake_failed() {
    is_armed_.store(false, std::memory_order_release);
    is_handshake_asked_.store(false, std::memory_order_release);
  }

  std::uint64_t bytes_sent() const { return bytes_sent_.load(std::memory_order_relaxed); }
  std::uint64_t bytes_received() const { return bytes_received_.load(std::memory_order_relaxed); }
  std::uint64_t packets_sent() const { return packets_sent_.load(std::memory_order_relaxed); }
  std::uint64_t packets_received() const { return packets_received_.load(std::memory_order_relaxed); }

  // ---- for Device ----

  static constexpr std::int64_t kNever = 0;
  static TimePoint time_of(std::int64_t stamp) { return TimePoint(TimePoint::duration(stamp)); }
  std::int64_t last_sent() const { return last_sent_.load(std::memory_order_relaxed); }
  std::int64_t last_received() const { return last_received_.load(std::memory_order_relaxed); }
  // The first inner packet sent since anything came; kNever: there is none.
  std::int64_t reply_awaited_since() const { return reply_awaited_since_.load(std::memory_order_relaxed); }
  // The first inner packet that came since anything was sent.
  std::int64_t keepalive_owed_since() const { return keepalive_owed_since_.load(std::memory_order_relaxed); }
  void stop_awaiting_reply() { reply_awaited_since_.store(0, std::memory_order_relaxed); }
  void stop_owing_keepalive() { keepalive_owed_since_.store(0, std::memory_order_relaxed); }
  bool is_handshake_asked() const { return is_handshake_asked_.load(std::memory_order_acquire); }
  bool take_handshake_asked() { return is_handshake_asked_.exchange(false, std::memory_order_acq_rel); }
  // While armed, Device looks again in time by itself.
  void set_armed(bool is_armed) { is_armed_.store(is_armed, std::memory_order_seq_cst); }

 private:
  static std::int64_t stamp(TimePoint now) {
    const auto count = now.time_since_epoch().count();
    return count == kNever ? 1 : count;
  }
  bool arm() {
    if (is_armed_.load(std::memory_order_seq_cst)) return false;
    return !is_armed_.exchange(true, std::memory_order_acq_rel);
  }

  std::atomic<std::int64_t> last_sent_{kNever};
  std::atomic<std::int64_t> last_received_{kNever};
  std::atomic<std::int64_t> reply_awaited_since_{kNever};
  std::atomic<std::int64_t> keepalive_owed_since_{kNever};
  std::atomic<std::uint64_t> bytes_sent_{0};
  std::atomic<std::uint64_t> bytes_received_{0};
  std::atomic<std::uint64_t> packets_sent_{0};
  std::atomic<std::uint64_t> packets_received_{0};
  std::atomic<bool> is_armed_{false};
  std::atomic<bool> is_handshake_asked_{false};
};

}  // namespace sixlink::wireguard
