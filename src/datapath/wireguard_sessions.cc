// SPDX-License-Identifier: BSD-3-Clause
// What lanes know of WireGuard peers.
#include "src/datapath/wireguard_sessions.h"

namespace sixlink::datapath {
namespace {

template <typename Function>
void for_each(const wireguard::Keypairs& keypairs, Function&& function) {
  for (const auto* keypair : {&keypairs.previous, &keypairs.current, &keypairs.next}) {
    if (*keypair) function(**keypair);
  }
}

}  // namespace

void WireguardSessions::update(WireguardPeer& peer, const wireguard::Device& device, wireguard::PeerId id) {
  unlink(peer);
  peer.keypairs = device.keypairs(id);
  peer.activity = device.activity(id);
  peer.endpoint = device.endpoint(id).value_or(wireguard::Endpoint());
  link(peer);
}

void WireguardSessions::remove(WireguardPeer& peer) {
  unlink(peer);
  peer.keypairs = {};
  peer.activity.reset();
}

void WireguardSessions::unlink(const WireguardPeer& peer) {
  for_each(peer.keypairs, [&](const wireguard::Keypair& keypair) {
    const auto found = by_index_.find(keypair.local_index());
    if (found != by_index_.end() && found->second.peer == &peer) by_index_.erase(found);
  });
}

void WireguardSessions::link(WireguardPeer& peer) {
  for_each(peer.keypairs, [&](wireguard::Keypair& keypair) {
    by_index_[keypair.local_index()] = {&peer, &keypair};
  });
}

}  // namespace sixlink::datapath
