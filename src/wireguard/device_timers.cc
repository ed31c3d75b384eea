// SPDX-License-Identifier: BSD-3-Clause
// What happens without a message (whitepaper section 6).
#include <algorithm>
#include <utility>

#include "src/wireguard/machine.h"

namespace sixlink::wireguard {

// splitmix64: jitter needs no secrecy, only that peers differ.
std::chrono::milliseconds Device::Machine::jitter() {
  jitter_state_ += 0x9E3779B97F4A7C15ULL;
  auto mixed = jitter_state_;
  mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9ULL;
  mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBULL;
  mixed ^= mixed >> 31;
  return std::chrono::milliseconds(mixed % static_cast<std::uint64_t>(kLongestJitter.count() + 1));
}

void Device::Machine::schedule(Peer& peer) {
  // Between reading the times and saying that no one looks after them, a lane may write one: so it is said
  // first.
  auto& activity = *peer.activity;
  activity.set_armed(false);
  if (activity.reply_awaited_since() != Activity::kNever ||
      activity.keepalive_owed_since() != Activity::kNever)
    activity.set_armed(true);
  deadlines.set(peer.id.slot, peer.deadline());
}

void Device::Machine::serve(Peer& peer, TimePoint now, Actions& actions) {
  auto& activity = *peer.activity;
  if (peer.keypairs.next && peer.keypairs.next->is_confirmed()) adopt_next(peer, now, actions);

  if (peer.zero_keys_at <= now) {
    peer.zero_keys_at = Peer::kNever;
    drop_handshake(peer);
    for (auto* const keypair : {&peer.keypairs.previous, &peer.keypairs.current, &peer.keypairs.next})
      drop_keypair(*keypair);
    sealer.forget();
    opener.forget();
    change_of(actions, peer.id).keys = true;
  }

  if (peer.retransmit_at <= now) {
    peer.retransmit_at = Peer::kNever;
    if (now - peer.unanswered_since >= kRekeyAttemptTime &&
        !std::exchange(peer.is_reported_unreachable, true))
      change_of(actions, peer.id).is_unreachable = true;
    // Our own address may be what is wrong.
    set_endpoint(peer, {peer.endpoint.remote, {}}, actions);
    if (now - peer.attempts_since >= kRekeyAttemptTime) {
      drop_handshake(peer);
      peer.staged = {};
      activity.stop_owing_keepalive();
      (void)activity.take_handshake_asked();
    } else {
      initiate(peer, true, now, actions);
    }
  }

  if (peer.reply_overdue_at() <= now) {
    activity.stop_awaiting_reply();
    set_endpoint(peer, {peer.endpoint.remote, {}}, actions);
    initiate(peer, false, now, actions);
  }
  if (peer.keepalive_at() <= now) send_keepalive(peer, now, actions);
  if (peer.persistent_keepalive_at() <= now) {
    peer.last_persistent_keepalive = now;
    send_keepalive(peer, now, actions);
  }
  if (activity.is_handshake_asked()) {
    // What was asked before the last session was made is done.
    const auto& current = peer.keypairs.current;
    if (!peer.may_send(now) || current->wants_rekey(now) || current->wants_rekey_on_receipt(now))
      initiate(peer, false, now, actions);
    // While a handshake is under way it stays asked, so that lanes ask once.
    if (peer.retransmit_at == Peer::kNever) (void)activity.take_handshake_asked();
  }
  schedule(peer);
}

}  // namespace sixlink::wireguard
