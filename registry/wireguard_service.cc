// SPDX-License-Identifier: BSD-3-Clause
// The registry's end of all WireGuard tunnels that it carries itself.
#include "registry/wireguard_service.h"

#include <algorithm>

#include "src/net/outer_address.h"

namespace sixlink::registry {
namespace {

using wireguard::Clock;

wireguard::SecretKey secret_of(const pki::WireguardKeyPair& pair) {
  const auto bytes = pair.private_bytes();
  return wireguard::SecretKey(std::span<const std::uint8_t, wireguard::kKeySize>(
      reinterpret_cast<const std::uint8_t*>(bytes.data()), wireguard::kKeySize));
}

wireguard::Settings settings_with(std::size_t mtu) {
  wireguard::Settings settings;
  settings.mtu = mtu;
  return settings;
}

}  // namespace

bool is_wireguard(std::span<const std::uint8_t> datagram) {
  return datagram.size() >= 4 && datagram[0] >= 1 && datagram[0] <= 4 && datagram[1] == 0 &&
         datagram[2] == 0 && datagram[3] == 0;
}

WireguardService::WireguardService(const boost::asio::any_io_executor& executor,
                                   const pki::WireguardKeyPair& key, std::size_t mtu, Hooks hooks)
    : key_(key.public_key()),
      device_(secret_of(key), settings_with(mtu)),
      hooks_(std::move(hooks)),
      timer_(executor) {}

std::string WireguardService::put(const Lease& lease) {
  if (lease.mode != LeaseMode::kWireguard || !lease.wireguard_key) {
    remove(lease.id);
    return {};
  }
  auto held = peers_.find(lease.id);
  if (held != peers_.end() && held->second.key != *lease.wireguard_key) {
    remove(lease.id);
    held = peers_.end();
  }
  auto allowed = allowed_of(lease);
  if (held != peers_.end()) {
    // Its session goes on.
    Peer& peer = held->second;
    for (const auto& prefix : peer.allowed) {
      if (std::find(allowed.begin(), allowed.end(), prefix) == allowed.end())
        device_.remove_allowed_ip(peer.id, prefix);
    }
    for (const auto& prefix : allowed) device_.add_allowed_ip(peer.id, prefix);
    peer.allowed = std::move(allowed);
    return {};
  }
  wireguard::PeerConfig config;
  config.public_key = lease.wireguard_key->bytes;
  config.allowed_ips = allowed;
  const auto id = device_.add_peer(std::move(config), Clock::now(), actions_);
  if (!id) return wireguard::explain(id.error());
  peers_[lease.id] = {*id, *lease.wireguard_key, std::move(allowed)};
  leases_[id->slot] = lease.id;
  carry_out();
  return {};
}

void WireguardService::remove(std::int64_t lease) {
  const auto found = peers_.find(lease);
  if (found == peers_.end()) return;
  const auto id = found->second.id;
  peers_.erase(found);
  device_.remove_peer(id, actions_);
  carry_out();
  leases_.erase(id.slot);
}

void WireguardService::input(std::span<std::uint8_t> datagram, const wireguard::Endpoint& from) {
  device_.input(datagram, from, Clock::now(), actions_);
  carry_out();
}

bool WireguardService::send(std::int64_t lease, std::span<const std::uint8_t> packet) {
  const auto found = peers_.find(lease);
  if (found == peers_.end()) return false;
  const auto outcome = device_.send_to(found->second.id, packet, Clock::now(), actions_);
  carry_out();
  return outcome == wireguard::Outcome::kSent || outcome == wireguard::Outcome::kStaged;
}

void WireguardService::wake(std::int64_t lease) {
  const auto found = peers_.find(lease);
  if (found == peers_.end()) return;
  device_.wake(found->second.id, Clock::now(), actions_);
  carry_out();
}

void WireguardService::roamed(std::int64_t lease, const wireguard::Endpoint& from) {
  const auto found = peers_.find(lease);
  if (found == peers_.end()) return;
  device_.roamed(found->second.id, from, actions_);
  carry_out();
}

void WireguardService::carry_out() {
  // What is delivered may be answered at once.
  wireguard::Actions actions;
  std::swap(actions, actions_);
  for (const auto& change : actions.changes) {
    if (!change.keys && !change.endpoint) continue;
    if (const auto found = leases_.find(change.peer.slot); found != leases_.end())
      hooks_.changed(found->second, device_, change.peer);
  }
  for (const auto& datagram : actions.datagrams) hooks_.send(datagram.to, datagram.bytes);
  for (auto& packet : actions.packets) {
    if (const auto found = leases_.find(packet.peer.slot); found != leases_.end())
      hooks_.deliver(found->second, packet.bytes);
  }
  actions.clear();
  if (actions_.empty()) std::swap(actions, actions_);  // for its storage
  wait();
}

void WireguardService::wait() {
  const auto deadline = device_.deadline();
  if (deadline == timer_.expiry()) return;
  timer_.expires_at(deadline);
  timer_.async_wait([this, alive = is_alive_](const boost::system::error_code& error) {
    if (error || !*alive) return;
    device_.tick(Clock::now(), actions_);
    // The same deadline may come again, and nobody waits for this one any more.
    timer_.expires_at(Clock::time_point::min());
    carry_out();
  });
}

WireguardPeers WireguardService::peers() const {
  WireguardPeers all;
  const auto now = Clock::now();
  for (const auto& [lease, peer] : peers_) {
    const auto status = device_.status(peer.id, now);
    if (!status) continue;
    auto& entry = all[peer.key];
    if (status->endpoint && status->endpoint->is_known())
      entry.endpoint = net::endpoint_text(net::unmapped(status->endpoint->remote.address()),
                                          status->endpoint->remote.port());
    entry.latest_handshake = status->latest_handshake;
    entry.bytes_received = status->bytes_received;
    entry.bytes_sent = status->bytes_sent;
  }
  return all;
}

}  // namespace sixlink::registry
