// SPDX-License-Identifier: BSD-3-Clause
// Transport data in one thread (whitepaper section 5.4.6).
#include <utility>

#include "src/wireguard/machine.h"

namespace sixlink::wireguard {
namespace {

// What fits a UDP datagram over IPv4 with all that is around it.
constexpr std::size_t kLongestPacket = 65535 - 20 - 8 - kDataOverhead - (kPadding - 1);

}  // namespace

void Device::Machine::sent(Peer& peer, std::uint64_t packets, std::uint64_t bytes, TimePoint now) {
  // What it asks for is done by every caller: schedule().
  (void)peer.activity->sent(now, packets, bytes);
}

void Device::Machine::received(Peer& peer, std::uint64_t packets, std::uint64_t bytes, TimePoint now) {
  (void)peer.activity->received(now, packets, bytes);
}

bool Device::Machine::seal_and_send(Peer& peer, Bytes packet, TimePoint now, Actions& actions) {
  if (!peer.may_send(now)) return false;
  auto& keypair = *peer.keypairs.current;
  const auto counter = keypair.reserve(1);
  if (!counter) return false;
  const auto padded = padded_size(packet.size(), settings.mtu);
  std::vector<std::uint8_t> message(kDataOverhead + padded);
  const std::array<Bytes, 1> pieces{packet};
  if (sealer.seal(keypair, *counter, pieces, padded, message.data()) == 0) return false;
  sent(peer, packet.empty() ? 0 : 1, message.size(), now);
  actions.datagrams.push_back({peer.id, peer.endpoint, std::move(message)});
  return true;
}

Outcome Device::Machine::send_to(Peer& peer, Bytes packet, TimePoint now, Actions& actions) {
  if (packet.size() > kLongestPacket) return Outcome::kTooLong;
  if (!peer.endpoint.is_known()) return Outcome::kNoEndpoint;
  if (peer.staged.empty() && seal_and_send(peer, packet, now, actions)) {
    if (peer.keypairs.current->wants_rekey(now)) initiate(peer, false, now, actions);
    schedule(peer);
    return Outcome::kSent;
  }
  peer.stage(packet);
  initiate(peer, false, now, actions);
  schedule(peer);
  return Outcome::kStaged;
}

void Device::Machine::send_keepalive(Peer& peer, TimePoint now, Actions& actions) {
  peer.activity->stop_owing_keepalive();
  if (!peer.endpoint.is_known()) return;
  if (seal_and_send(peer, {}, now, actions)) {
    if (peer.keypairs.current->wants_rekey(now)) initiate(peer, false, now, actions);
    return;
  }
  initiate(peer, false, now, actions);
}

void Device::Machine::flush_staged(Peer& peer, TimePoint now, Actions& actions) {
  for (const auto& packet : std::exchange(peer.staged, {})) {
    if (!seal_and_send(peer, packet, now, actions)) return;
  }
}

void Device::Machine::adopt_next(Peer& peer, TimePoint now, Actions& actions) {
  auto& keypairs = peer.keypairs;
  drop_keypair(keypairs.previous);
  keypairs.previous = std::exchange(keypairs.current, std::exchange(keypairs.next, nullptr));
  change_of(actions, peer.id).keys = true;
  handshake_completed(peer, actions);
  flush_staged(peer, now, actions);
}

Outcome Device::Machine::receive_data(std::span<std::uint8_t> datagram, const Endpoint& from, TimePoint now,
                                      Actions& actions) {
  const auto header = DataHeader::parse(datagram);
  if (!header) return Outcome::kMalformed;
  auto* const peer = find_index(header->receiver);
  if (!peer) return Outcome::kUnknownIndex;
  KeypairRef keypair;
  for (const auto& candidate : {peer->keypairs.current, peer->keypairs.previous, peer->keypairs.next}) {
    if (candidate && candidate->local_index() == header->receiver) keypair = candidate;
  }
  if (!keypair) return Outcome::kUnknownIndex;  // of a handshake
  if (!keypair->may_receive(now)) return Outcome::kExpired;

  std::optional<std::span<std::uint8_t>> padded;
  {
    Keypair::Window window(*keypair);
    if (window.is_refused(header->counter)) return Outcome::kReplayed;
    padded = opener.open(*keypair, datagram);
    if (!padded) return Outcome::kForged;
    if (!window.accept(header->counter)) return Outcome::kReplayed;
  }

  set_endpoint(*peer, from, actions);
  received(*peer, padded->empty() ? 0 : 1, datagram.size(), now);
  (void)keypair->confirm();
  if (keypair == peer->keypairs.next) adopt_next(*peer, now, actions);
  if (keypair->wants_rekey_on_receipt(now) && !std::exchange(peer->was_last_minute_asked, true))
    initiate(*peer, false, now, actions);
  schedule(*peer);

  if (padded->empty()) return Outcome::kKeepalive;
  const auto packet = without_padding(*padded);
  if (!packet) return Outcome::kNotIp;
  if (allowed_ips.find_source(*packet) != peer->id.slot) return Outcome::kForeignSource;
  actions.packets.push_back({peer->id, {packet->begin(), packet->end()}});
  return Outcome::kData;
}

}  // namespace sixlink::wireguard
