// SPDX-License-Identifier: BSD-3-Clause
// Handshake messages, sent and received (whitepaper sections 5.3, 5.4 and 6.1 to 6.4).
#include <algorithm>
#include <utility>

#include "src/wireguard/little_endian.h"
#include "src/wireguard/machine.h"

namespace sixlink::wireguard {

Peer* Device::Machine::find_index(std::uint32_t index) const {
  const auto found = by_index.find(index);
  return found == by_index.end() ? nullptr : slots[found->second].get();
}

std::uint32_t Device::Machine::claim_index(const Peer& peer) {
  // Ends soon: there are far fewer peers than numbers.
  while (true) {
    std::array<std::uint8_t, 4> bytes{};
    settings.random(bytes);
    const auto index = load_le<std::uint32_t>(bytes.data());
    if (by_index.emplace(index, peer.id.slot).second) return index;
  }
}

SecretKey Device::Machine::ephemeral() {
  SecretKey key;
  settings.random(key.writable());
  clamp(key);
  return key;
}

NoisePeer Device::Machine::noise_of(Peer& peer) {
  if (!peer.static_dh) {
    ++counters.dh_operations;
    peer.static_dh = crypto.dh(own.private_key, peer.public_key);
    // add_peer() refuses what could fail; zeros make a handshake that no one answers.
    if (!peer.static_dh) peer.static_dh.emplace();
  }
  return {peer.public_key, peer.preshared_key, *peer.static_dh};
}

void Device::Machine::drop_handshake(Peer& peer) {
  if (peer.handshake) by_index.erase(peer.handshake->local_index);
  peer.handshake.reset();
}

void Device::Machine::drop_keypair(KeypairRef& keypair) {
  if (keypair) by_index.erase(keypair->local_index());
  keypair.reset();
}

void Device::Machine::send_handshake(Peer& peer, std::vector<std::uint8_t> message, TimePoint now,
                                     Actions& actions) {
  peer.cookie.write_macs(crypto, peer.public_key, message, now);
  sent(peer, 0, message.size(), now);
  actions.datagrams.push_back({peer.id, peer.endpoint, std::move(message)});
}

void Device::Machine::initiate(Peer& peer, bool is_retry, TimePoint now, Actions& actions) {
  if (!is_retry) peer.attempts_since = now;
  if (!peer.endpoint.is_known()) return;
  if (peer.last_initiation_sent && now - *peer.last_initiation_sent < kRekeyTimeout) {
    if (peer.retransmit_at == Peer::kNever) {  // the last one was answered: as soon as may be
      peer.retransmit_at = *peer.last_initiation_sent + kRekeyTimeout + jitter();
      peer.unanswered_since = now;
    }
    return;
  }

  Initiation fields;
  counters.dh_operations += 2;
  auto noise = InitiatorHandshake::start(crypto, own, noise_of(peer), timestamps.next(settings.wall_clock()),
                                         ephemeral(), fields);
  if (!noise) return;  // add_peer() refuses such keys
  const bool is_first = !peer.handshake;
  drop_handshake(peer);
  fields.sender = claim_index(peer);
  peer.handshake = std::make_unique<PendingHandshake>(PendingHandshake{std::move(*noise), fields.sender});
  peer.last_initiation_sent = now;
  peer.retransmit_at = now + kRekeyTimeout + jitter();
  if (is_first) peer.unanswered_since = now;
  ++counters.initiations_sent;

  std::vector<std::uint8_t> message(kInitiationSize);
  fields.write(std::span<std::uint8_t, kInitiationSize>(message));
  send_handshake(peer, std::move(message), now, actions);
}

Outcome Device::Machine::input(std::span<std::uint8_t> datagram, const Endpoint& from, TimePoint now,
                               Actions& actions) {
  const auto type = classify(datagram);
  if (!type) return Outcome::kMalformed;
  switch (*type) {
    case MessageType::kData:
      return receive_data(datagram, from, now, actions);
    case MessageType::kCookie:
      return receive_cookie(datagram, now);
    case MessageType::kInitiation:
    case MessageType::kResponse:
      break;
  }
  if (const auto refused = refuse(datagram, from, now, actions)) return *refused;
  return *type == MessageType::kInitiation ? receive_initiation(datagram, from, now, actions)
                                           : receive_response(datagram, from, now, actions);
}

std::optional<Outcome> Device::Machine::refuse(Bytes datagram, const Endpoint& from, TimePoint now,
                                               Actions& actions) {
  const auto macs = Macs::read(datagram);
  if (!cookies.is_mac1_right(crypto, datagram, macs)) return Outcome::kForged;
  if (!load.add(now)) return std::nullopt;
  if (cookies.is_mac2_right(crypto, datagram, macs, from.remote, now, settings.random))
    return limiter.allow(crypto, from.remote.address(), now) ? std::nullopt
                                                             : std::optional(Outcome::kFlooding);
  const auto sender = load_le<std::uint32_t>(datagram.data() + 4);
  std::vector<std::uint8_t> message(kCookieSize);
  cookies.reply(crypto, sender, macs, from.remote, now, settings.random)
      .write(std::span<std::uint8_t, kCookieSize>(message));
  actions.datagrams.push_back({{}, from, std::move(message)});
  return Outcome::kCookieAnswered;
}

Outcome Device::Machine::receive_initiation(Bytes datagram, const Endpoint& from, TimePoint now,
                                            Actions& actions) {
  const auto initiation = Initiation::read(datagram.first<kInitiationSize>());
  ++counters.dh_operations;
  auto handshake = ResponderHandshake::receive(crypto, own, initiation);
  if (!handshake) return Outcome::kForged;
  const auto found = by_key.find(handshake->public_key());
  if (found == by_key.end()) return Outcome::kUnknownPeer;
  auto& peer = *slots[found->second];
  const auto timestamp = handshake->authenticate(crypto, noise_of(peer), initiation);
  if (!timestamp) return Outcome::kForged;
  if (*timestamp <= peer.greatest_timestamp) return Outcome::kReplayed;
  if (peer.last_initiation_received &&
      now - *peer.last_initiation_received < std::chrono::milliseconds(1000) / kInitiationsPerSecond)
    return Outcome::kFlooding;

  Response fields;
  counters.dh_operations += 2;
  auto keys = handshake->respond(crypto, noise_of(peer), ephemeral(), fields);
  if (!keys) return Outcome::kForged;
  peer.greatest_timestamp = *timestamp;
  peer.last_initiation_received = now;
  set_endpoint(peer, from, actions);
  received(peer, 0, datagram.size(), now);

  // Until the initiator shows that it has the new keys, we send with the current ones. At most two keypairs
  // at a time: the previous one goes, and a next one that was never used.
  fields.sender = claim_index(peer);
  fields.receiver = initiation.sender;
  drop_keypair(peer.keypairs.next);
  drop_keypair(peer.keypairs.previous);
  peer.keypairs.next =
      std::make_shared<Keypair>(std::move(keys->send), std::move(keys->receive), fields.sender,
                                initiation.sender, Keypair::Role::kResponder, now);
  session_made(peer, now, actions);

  std::vector<std::uint8_t> message(kResponseSize);
  fields.write(std::span<std::uint8_t, kResponseSize>(message));
  send_handshake(peer, std::move(message), now, actions);
  schedule(peer);
  return Outcome::kHandshakeAnswered;
}

Outcome Device::Machine::receive_response(Bytes datagram, const Endpoint& from, TimePoint now,
                                          Actions& actions) {
  const auto response = Response::read(datagram.first<kResponseSize>());
  auto* const peer = find_index(response.receiver);
  if (!peer || !peer->handshake || peer->handshake->local_index != response.receiver)
    return Outcome::kUnknownIndex;
  counters.dh_operations += 2;
  auto keys = peer->handshake->noise.finish(crypto, own, noise_of(*peer), response);
  if (!keys) return Outcome::kForged;

  set_endpoint(*peer, from, actions);
  received(*peer, 0, datagram.size(), now);
  // The index goes on to the keypair.
  peer->handshake.reset();
  auto& keypairs = peer->keypairs;
  drop_keypair(keypairs.previous);
  if (keypairs.next) {
    // Both began at once: what we answered is the better known one to the peer.
    drop_keypair(keypairs.current);
    keypairs.previous = std::exchange(keypairs.next, nullptr);
  } else {
    keypairs.previous = std::exchange(keypairs.current, nullptr);
  }
  keypairs.current =
      std::make_shared<Keypair>(std::move(keys->send), std::move(keys->receive), response.receiver,
                                response.sender, Keypair::Role::kInitiator, now);
  session_made(*peer, now, actions);
  handshake_completed(*peer, actions);
  // The responder waits for a message before it sends with the new keys.
  if (peer->staged.empty()) peer->stage({});
  flush_staged(*peer, now, actions);
  schedule(*peer);
  return Outcome::kSessionMade;
}

Outcome Device::Machine::receive_cookie(Bytes datagram, TimePoint now) {
  const auto reply = CookieReply::read(datagram.first<kCookieSize>());
  auto* const peer = find_index(reply.receiver);
  if (!peer) return Outcome::kUnknownIndex;
  // Not sent again at once: the load that it tells of would not pass.
  return peer->cookie.take(crypto, peer->public_key, reply, now) ? Outcome::kCookieTaken : Outcome::kForged;
}

void Device::Machine::session_made(Peer& peer, TimePoint now, Actions& actions) {
  peer.zero_keys_at = now + kZeroKeysAfter;
  peer.was_last_minute_asked = false;
  peer.jitter = jitter();
  change_of(actions, peer.id).keys = true;
  sealer.forget();
  opener.forget();
}

// Both sides have the keys.
void Device::Machine::handshake_completed(Peer& peer, Actions& actions) {
  drop_handshake(peer);
  peer.retransmit_at = Peer::kNever;
  peer.is_reported_unreachable = false;
  peer.latest_handshake = settings.wall_clock();
  (void)peer.activity->take_handshake_asked();
  change_of(actions, peer.id).is_reachable = true;
}

}  // namespace sixlink::wireguard
