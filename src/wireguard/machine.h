// SPDX-License-Identifier: BSD-3-Clause
// The inside of Device: what its parts (device.cc, device_handshake.cc, device_data.cc, device_timers.cc)
// share.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "src/wireguard/cookie.h"
#include "src/wireguard/crypto.h"
#include "src/wireguard/deadline_queue.h"
#include "src/wireguard/device.h"
#include "src/wireguard/handshake_load.h"
#include "src/wireguard/peer.h"
#include "src/wireguard/sealer.h"
#include "src/wireguard/timestamp.h"

namespace sixlink::wireguard {

class Device::Machine {
 public:
  Machine(SecretKey private_key, Settings settings);

  // ---- device.cc ----
  Peer* find(PeerId id) const;
  boost::system::result<PeerId, Error> add_peer(PeerConfig config, TimePoint now, Actions& actions);
  void remove_peer(Peer& peer, Actions& actions);
  void add_allowed_ip(Peer& peer, const net::Prefix& prefix);
  Outcome count(Outcome outcome);
  void set_endpoint(Peer& peer, const Endpoint& endpoint, Actions& actions);

  // ---- device_handshake.cc ----
  Outcome input(std::span<std::uint8_t> datagram, const Endpoint& from, TimePoint now, Actions& actions);
  // `is_retry`: not because there is something to send. Nothing happens within REKEY_TIMEOUT of the last one.
  void initiate(Peer& peer, bool is_retry, TimePoint now, Actions& actions);
  void drop_handshake(Peer& peer);
  void drop_keypair(KeypairRef& keypair);

  // ---- device_data.cc ----
  Outcome send_to(Peer& peer, Bytes packet, TimePoint now, Actions& actions);
  void send_keepalive(Peer& peer, TimePoint now, Actions& actions);
  // The responder's new session showed that the initiator has it.
  void adopt_next(Peer& peer, TimePoint now, Actions& actions);
  void flush_staged(Peer& peer, TimePoint now, Actions& actions);

  // ---- device_timers.cc ----
  // Does what is due of this peer and sets its next deadline.
  void serve(Peer& peer, TimePoint now, Actions& actions);
  void schedule(Peer& peer);
  std::chrono::milliseconds jitter();

  struct KeyHasher {
    std::uint64_t seed = 0;
    std::size_t operator()(const PublicKey& key) const;
  };

  Settings settings;
  Crypto crypto;
  Sealer sealer;
  Opener opener;
  Identity own;
  CookieChecker cookies;
  LoadMeter load;
  SourceLimiter limiter;
  TimestampClock timestamps;
  AllowedIps allowed_ips;
  DeadlineQueue deadlines;
  Counters counters;

  std::vector<std::unique_ptr<Peer>> slots;
  std::vector<std::uint32_t> generations;
  std::vector<std::uint32_t> free_slots;
  std::unordered_map<PublicKey, std::uint32_t, KeyHasher> by_key;
  // Of pending handshakes and keypairs: random, so that no one can guess one.
  std::unordered_map<std::uint32_t, std::uint32_t> by_index;  // to the slot

 private:
  Outcome receive_initiation(Bytes datagram, const Endpoint& from, TimePoint now, Actions& actions);
  Outcome receive_response(Bytes datagram, const Endpoint& from, TimePoint now, Actions& actions);
  Outcome receive_cookie(Bytes datagram, TimePoint now);
  Outcome receive_data(std::span<std::uint8_t> datagram, const Endpoint& from, TimePoint now,
                       Actions& actions);
  // mac1, and under load mac2 and the sender's rate. nullopt: go on.
  std::optional<Outcome> refuse(Bytes datagram, const Endpoint& from, TimePoint now, Actions& actions);
  Peer* find_index(std::uint32_t index) const;
  std::uint32_t claim_index(const Peer& peer);
  SecretKey ephemeral();
  NoisePeer noise_of(Peer& peer);
  void session_made(Peer& peer, TimePoint now, Actions& actions);
  void handshake_completed(Peer& peer, Actions& actions);
  void send_handshake(Peer& peer, std::vector<std::uint8_t> message, TimePoint now, Actions& actions);
  bool seal_and_send(Peer& peer, Bytes packet, TimePoint now, Actions& actions);
  void sent(Peer& peer, std::uint64_t packets, std::uint64_t bytes, TimePoint now);
  void received(Peer& peer, std::uint64_t packets, std::uint64_t bytes, TimePoint now);

  std::uint64_t jitter_state_ = 0;
};

// The entry for `peer` at the end of the changes.
Actions::Change& change_of(Actions& actions, PeerId peer);

}  // namespace sixlink::wireguard
