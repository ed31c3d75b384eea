// SPDX-License-Identifier: BSD-3-Clause
// The registry's end of all WireGuard tunnels that it carries itself: one device, a peer for each lease of
// mode wireguard.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

#include "registry/store/store.h"
#include "registry/wireguard_peers.h"
#include "src/pki/wireguard_key.h"
#include "src/wireguard/device.h"

namespace sixlink::registry {

// A WireGuard message, told from the other things on the port by its first bytes: a type of 1 to 4 and three
// zeros.
bool is_wireguard(std::span<const std::uint8_t> datagram);

class WireguardService {
 public:
  struct Hooks {
    std::function<void(const wireguard::Endpoint& to, std::span<const std::uint8_t> datagram)> send;
    // An inner packet of the lease's client, authentic and from an address of its own.
    std::function<void(std::int64_t lease, std::span<std::uint8_t> packet)> deliver;
    // The lanes' view of the lease's peer is to be changed: its keys or its endpoint did.
    std::function<void(std::int64_t lease, const wireguard::Device&, wireguard::PeerId)> changed;
  };
  WireguardService(const boost::asio::any_io_executor& executor, const pki::WireguardKeyPair& key,
                   std::size_t mtu, Hooks hooks);

  // A lease of mode wireguard, new or changed; one of another mode ends the peer. Empty: done; else why it
  // has no tunnel.
  std::string put(const Lease& lease);
  void remove(std::int64_t lease);

  void input(std::span<std::uint8_t> datagram, const wireguard::Endpoint& from);
  // An inner packet for the lease's client. False: nobody knows where that is.
  bool send(std::int64_t lease, std::span<const std::uint8_t> packet);
  // See wireguard::Device: lanes ask for it.
  void wake(std::int64_t lease);
  void roamed(std::int64_t lease, const wireguard::Endpoint& from);

  std::size_t size() const { return peers_.size(); }
  const pki::WireguardKey& public_key() const { return key_; }
  WireguardPeers peers() const;

 private:
  struct Peer {
    wireguard::PeerId id;
    pki::WireguardKey key;
    std::vector<net::Prefix> allowed;
  };
  void carry_out();
  void wait();

  pki::WireguardKey key_;
  wireguard::Device device_;
  Hooks hooks_;
  boost::asio::steady_timer timer_;
  wireguard::Actions actions_;
  std::unordered_map<std::int64_t, Peer> peers_;            // by lease
  std::unordered_map<std::uint32_t, std::int64_t> leases_;  // by the peer's slot
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);

 public:
  WireguardService(const WireguardService&) = delete;
  WireguardService& operator=(const WireguardService&) = delete;
  ~WireguardService() { *is_alive_ = false; }
};

}  // namespace sixlink::registry
