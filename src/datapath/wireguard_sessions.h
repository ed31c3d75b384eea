// SPDX-License-Identifier: BSD-3-Clause
// What lanes know of WireGuard peers: their keys, where they are, and which receiver index is whose. The
// control thread keeps it as its wireguard::Device says (Actions::changes), while no lane looks.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "src/wireguard/activity.h"
#include "src/wireguard/device.h"
#include "src/wireguard/keypair.h"

namespace sixlink::datapath {

class LanePeer;

struct WireguardPeer {
  LanePeer* owner = nullptr;  // whose packets come with these keys
  std::int64_t tag = 0;       // what messages to the control thread call it
  wireguard::Keypairs keypairs;
  std::shared_ptr<wireguard::Activity> activity;
  wireguard::Endpoint endpoint;
};

class WireguardSessions {
 public:
  // The peer has what the device says now. It stays in place until remove().
  void update(WireguardPeer& peer, const wireguard::Device& device, wireguard::PeerId id);
  void remove(WireguardPeer& peer);

  // Lanes: who receives with this index.
  struct Session {
    WireguardPeer* peer = nullptr;  // null: nobody
    wireguard::Keypair* keypair = nullptr;
  };
  Session find(std::uint32_t index) const {
    const auto found = by_index_.find(index);
    return found == by_index_.end() ? Session{} : found->second;
  }

 private:
  void unlink(const WireguardPeer& peer);
  void link(WireguardPeer& peer);

  std::unordered_map<std::uint32_t, Session> by_index_;
};

}  // namespace sixlink::datapath
