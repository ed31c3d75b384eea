// SPDX-License-Identifier: BSD-3-Clause
// One peer: its keys, where it is, its sessions and timers. Device's; 4 KiB at most with all that belongs to
// it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "src/wireguard/activity.h"
#include "src/wireguard/cookie.h"
#include "src/wireguard/device.h"
#include "src/wireguard/noise.h"

namespace sixlink::wireguard {

// An initiation of ours that was sent.
struct PendingHandshake {
  InitiatorHandshake noise;
  std::uint32_t local_index = 0;
};

//   idle --connect, packet to send, key too old--> waiting --response--> established (see Keypairs)
//    ^                                              |  ^
//    |                                     5 s pass |  | initiation sent again
//    +--- 90 s without traffic of ours in vain <----+--+
struct Peer {
  static constexpr TimePoint kNever = TimePoint::max();

  PeerId id;
  PublicKey public_key{};
  SecretKey preshared_key;  // zeros: none
  // Made with the first handshake: a hundred thousand peers would take seconds at the start.
  std::optional<SecretKey> static_dh;
  Endpoint endpoint;
  std::vector<net::Prefix> allowed_ips;

  // ---- handshakes ----
  CookieHolder cookie;
  std::unique_ptr<PendingHandshake> handshake;
  Timestamp greatest_timestamp{};  // of its initiations
  std::optional<TimePoint> last_initiation_received;
  std::optional<TimePoint> last_initiation_sent;
  std::vector<std::vector<std::uint8_t>> staged;  // inner packets, oldest first; empty ones are keepalives

  // ---- sessions ----
  Keypairs keypairs;
  std::optional<std::chrono::system_clock::time_point> latest_handshake;
  const std::shared_ptr<Activity> activity = std::make_shared<Activity>();

  // ---- timers (section 6); what data traffic starts is in `activity` ----
  TimePoint retransmit_at = kNever;  // no response to our initiation
  TimePoint attempts_since{};        // REKEY_ATTEMPT_TIME counts from here; traffic starts it again
  TimePoint unanswered_since{};      // the same, but traffic does not
  TimePoint zero_keys_at = kNever;
  TimePoint last_persistent_keepalive{};
  std::chrono::seconds persistent_keepalive{0};
  std::chrono::milliseconds jitter{0};  // of the wait for a reply; drawn with each session
  bool was_last_minute_asked = false;   // once a session
  bool is_reported_unreachable = false;

  bool may_send(TimePoint now) const { return keypairs.current && keypairs.current->may_send(now); }

  // When data was sent and nothing came back (section 6.5); when a keepalive is owed; when the next
  // persistent one is due. kNever: not.
  TimePoint reply_overdue_at() const;
  TimePoint keepalive_at() const;
  TimePoint persistent_keepalive_at() const;
  TimePoint deadline() const;

  // Drops the oldest when there are too many.
  void stage(Bytes packet);
};

}  // namespace sixlink::wireguard
