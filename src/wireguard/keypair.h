// SPDX-License-Identifier: BSD-3-Clause
// The keys of one session in both directions, and what threads that use them share (whitepaper
// sections 5.4.5, 5.4.6).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "src/wireguard/protocol.h"
#include "src/wireguard/replay_window.h"
#include "src/wireguard/secret_key.h"

namespace sixlink::wireguard {

// Immutable but for the send counter, the replay window and whether it was confirmed. Any thread may use it;
// it is shared (KeypairRef), and wiped with its last owner.
//
// A lane that sends: may_send(), reserve() once a batch, Sealer::seal() with each counter, wants_rekey().
// A lane that receives: may_receive(), then for each message Opener::open() and Window::accept(), confirm().
class Keypair {
 public:
  enum class Role : std::uint8_t { kInitiator, kResponder };

  Keypair(SecretKey send, SecretKey receive, std::uint32_t local_index, std::uint32_t remote_index, Role role,
          TimePoint created);
  Keypair(const Keypair&) = delete;
  Keypair& operator=(const Keypair&) = delete;

  const SecretKey& send_key() const { return send_; }
  const SecretKey& receive_key() const { return receive_; }
  // Messages to us bear the first one, our messages the second one.
  std::uint32_t local_index() const { return local_index_; }
  std::uint32_t remote_index() const { return remote_index_; }
  bool is_initiator() const { return role_ == Role::kInitiator; }
  TimePoint created() const { return created_; }
  // Tells keypairs apart even when one lies where another lay. Never 0.
  std::uint64_t serial() const { return serial_; }

  // REJECT_AFTER_TIME, REJECT_AFTER_MESSAGES.
  bool may_send(TimePoint now) const {
    return now - created_ < kRejectAfterTime &&
           next_counter_.load(std::memory_order_relaxed) < kRejectAfterMessages;
  }
  bool may_receive(TimePoint now) const { return now - created_ < kRejectAfterTime; }

  // The first of `count` successive counters that are the caller's. nullopt: so many are not left. A counter
  // that is not used is lost, which harms nothing.
  std::optional<std::uint64_t> reserve(std::uint64_t count);

  // After having sent: REKEY_AFTER_TIME (the initiator's duty) or REKEY_AFTER_MESSAGES have passed. Then:
  // Activity::ask().
  bool wants_rekey(TimePoint now) const {
    return (is_initiator() && now - created_ >= kRekeyAfterTime) ||
           next_counter_.load(std::memory_order_relaxed) > kRekeyAfterMessages;
  }
  // After having received: so old that waiting for something to send would let it expire.
  bool wants_rekey_on_receipt(TimePoint now) const {
    return is_initiator() && now - created_ >= kRejectAfterTime - kKeepaliveTimeout - kRekeyTimeout;
  }

  // The initiator's first message shows that it has the keys: before that, a responder does not send with
  // them. Called for each batch that was received; true once: then Activity::ask().
  bool confirm() {
    return !is_confirmed_.load(std::memory_order_relaxed) &&
           !is_confirmed_.exchange(true, std::memory_order_acq_rel);
  }
  // The control thread could not be told: the next batch asks again.
  void confirm_failed() { is_confirmed_.store(false, std::memory_order_release); }
  bool is_confirmed() const { return is_confirmed_.load(std::memory_order_acquire); }

  std::uint64_t messages_sent() const { return next_counter_.load(std::memory_order_relaxed); }

  // The replay window, locked: held for a batch, not across a system call.
  class Window {
   public:
    explicit Window(Keypair& keypair) : lock_(keypair.window_mutex_), window_(keypair.window_) {}
    bool is_refused(std::uint64_t counter) const { return window_.is_refused(counter); }
    // After Opener::open() succeeded. False: seen before, or too old.
    bool accept(std::uint64_t counter) { return window_.accept(counter); }

   private:
    std::scoped_lock<std::mutex> lock_;
    ReplayWindow& window_;
  };

  // Tests only: as if so many had been sent.
  void set_messages_sent(std::uint64_t count) { next_counter_.store(count, std::memory_order_relaxed); }

 private:
  const SecretKey send_;
  const SecretKey receive_;
  const TimePoint created_;
  const std::uint64_t serial_;
  const std::uint32_t local_index_;
  const std::uint32_t remote_index_;
  const Role role_;
  std::atomic<bool> is_confirmed_;
  std::atomic<std::uint64_t> next_counter_{0};
  std::mutex window_mutex_;
  ReplayWindow window_;
};

using KeypairRef = std::shared_ptr<Keypair>;

}  // namespace sixlink::wireguard
