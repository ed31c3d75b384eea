// SPDX-License-Identifier: BSD-3-Clause
// The tunnel server's decisions.
#include "registry/broker/tunnel_server.h"

#include <algorithm>
#include <cstring>

#include "src/net/ip_header.h"
#include "src/net/ipv4.h"

namespace sixlink::registry {
namespace {

using datapath::Drop;

std::uint64_t mix(std::uint64_t value) {
  // The finalizer of SplitMix64: neighbouring addresses must not share buckets.
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

bool may_be_fragmented(std::span<const std::uint8_t> packet) {
  const auto header = net::Ipv4Header::parse(packet);
  return header && header->may_fragment;
}

net::AddressV6::bytes_type as_v6(const boost::asio::ip::address& address) {
  return address.is_v4()
             ? boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, address.to_v4()).to_bytes()
             : address.to_v6().to_bytes();
}

}  // namespace

std::size_t TunnelServer::AddressHash::operator()(const net::AddressV6::bytes_type& bytes) const {
  std::uint64_t halves[2];
  std::memcpy(halves, bytes.data(), sizeof halves);
  return static_cast<std::size_t>(mix(halves[0]) ^ mix(halves[1] + 0x9e3779b97f4a7c15ULL));
}

std::size_t TunnelServer::OuterHash::operator()(const Outer& outer) const {
  return AddressHash()(as_v6(outer.address)) ^
         static_cast<std::size_t>(mix(outer.port * 4U + static_cast<unsigned>(outer.mode)));
}

void TunnelServer::unlink(const Tunnel& tunnel) {
  by_address_.erase(tunnel.address.to_bytes());
  if (tunnel.address_v4) by_address_.erase(as_v6(*tunnel.address_v4));
  if (tunnel.prefix) {
    auto& table = by_prefix_[static_cast<std::size_t>(tunnel.prefix->length)];
    table.erase(tunnel.prefix->address.to_bytes());
    if (table.empty()) std::erase(lengths_, tunnel.prefix->length);
  }
  if (const auto found = by_outer_.find(tunnel.outer); found != by_outer_.end() && found->second == &tunnel)
    by_outer_.erase(found);
}

std::uint8_t LocalAddresses::number_of(const boost::asio::ip::address& address) {
  if (address.is_unspecified()) return 0;
  const auto find = [&](std::size_t count) -> std::uint8_t {
    for (std::size_t i = 1; i < count; ++i) {
      if (addresses_[i] == address) return static_cast<std::uint8_t>(i);
    }
    return 0;
  };
  if (const auto number = find(count_.load(std::memory_order_acquire))) return number;
  const std::lock_guard lock(mutex_);
  const auto count = count_.load(std::memory_order_relaxed);
  if (const auto number = find(count)) return number;
  if (count == addresses_.size()) return 0;
  addresses_[count] = address;
  count_.store(count + 1, std::memory_order_release);
  return static_cast<std::uint8_t>(count);
}

void TunnelServer::put(const Lease& lease, const boost::asio::ip::address& local) {
  change([&] { link(lease, local); });
}

void TunnelServer::link(const Lease& lease, const boost::asio::ip::address& local) {
  auto& slot = tunnels_[lease.id];
  if (slot) {
    unlink(*slot);
  } else {
    slot = std::make_unique<Tunnel>();
  }
  Tunnel& tunnel = *slot;
  const Outer outer{lease.mode, lease.outer_address, lease.outer_port};
  // Another address of ours may be spoken to from a new place.
  if (tunnel.outer != outer) tunnel.local = locals_.number_of(local);
  tunnel.lease = lease.id;
  tunnel.address = lease.address;
  tunnel.prefix = lease.prefix;
  tunnel.outer = outer;
  tunnel.address_v4 = lease.mode == LeaseMode::kWireguard ? lease.address_v4 : std::nullopt;
  if (lease.mode != LeaseMode::kWireguard) {
    if (tunnel.wireguard) sessions_.remove(*tunnel.wireguard);
    tunnel.wireguard.reset();
  } else if (!tunnel.wireguard) {
    tunnel.wireguard = std::make_unique<datapath::WireguardPeer>();
    tunnel.wireguard->owner = &tunnel;
    tunnel.wireguard->tag = lease.id;
  }
  by_address_[lease.address.to_bytes()] = &tunnel;
  if (tunnel.address_v4) by_address_[as_v6(*tunnel.address_v4)] = &tunnel;
  if (lease.prefix) {
    by_prefix_[static_cast<std::size_t>(lease.prefix->length)][lease.prefix->address.to_bytes()] = &tunnel;
    if (std::find(lengths_.begin(), lengths_.end(), lease.prefix->length) == lengths_.end()) {
      lengths_.push_back(lease.prefix->length);
      std::sort(lengths_.rbegin(), lengths_.rend());
    }
  }
  // WireGuard knows its clients by their keys.
  if (outer.address.is_unspecified() || outer.mode == LeaseMode::kWireguard) return;
  auto& holder = by_outer_[outer];
  if (holder && holder != &tunnel) holder->outer = Outer{};
  holder = &tunnel;
}

void TunnelServer::remove(std::int64_t lease) {
  const auto found = tunnels_.find(lease);
  if (found == tunnels_.end()) return;
  change([&] {
    unlink(*found->second);
    if (found->second->wireguard) sessions_.remove(*found->second->wireguard);
    tunnels_.erase(found);
  });
}

void TunnelServer::update_session(std::int64_t lease, const wireguard::Device& device,
                                  wireguard::PeerId peer) {
  const auto found = tunnels_.find(lease);
  if (found == tunnels_.end() || !found->second->wireguard) return;
  sessions_.update(*found->second->wireguard, device, peer);
}

const Tunnel* TunnelServer::find_outer(const Outer& outer) const {
  const auto found = by_outer_.find(outer);
  return found == by_outer_.end() ? nullptr : found->second;
}

const Tunnel* TunnelServer::find(const net::AddressV6& inner) const {
  if (const auto found = by_address_.find(inner.to_bytes()); found != by_address_.end()) return found->second;
  for (const int length : lengths_) {
    const auto& table = by_prefix_[static_cast<std::size_t>(length)];
    if (const auto found = table.find(net::mask(inner, length).to_bytes()); found != table.end())
      return found->second;
  }
  return nullptr;
}

std::size_t TunnelServer::mtu_of(const Tunnel& tunnel) const {
  const auto of_mode = [&] {
    switch (tunnel.outer.mode) {
      case LeaseMode::kV6UdpV4:
        return settings_.mtu_v6udpv4;
      case LeaseMode::kV6V4:
        return settings_.mtu_v6v4;
      case LeaseMode::kV4V6:
        return settings_.mtu_v4v6;
      case LeaseMode::kWireguard:
        return settings_.mtu_wireguard;
    }
    return settings_.mtu;
  }();
  return of_mode == 0 ? settings_.mtu : of_mode;
}

TunnelServer::Verdict TunnelServer::refuse(Drop reason, std::span<const std::uint8_t> packet,
                                           std::optional<net::Undeliverable> error, std::size_t mtu) {
  Verdict verdict;
  verdict.drop = reason;
  if (!error || errors_left_.load(std::memory_order_relaxed) == 0) return verdict;
  verdict.error = net::make_error(*error, static_cast<std::uint32_t>(mtu),
                                  {settings_.broker_address, settings_.broker_address_v4}, packet);
  if (!verdict.error) return verdict;
  // Another lane may have taken the last one meanwhile.
  auto left = errors_left_.load(std::memory_order_relaxed);
  while (left > 0 && !errors_left_.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) {
  }
  if (left == 0) verdict.error.reset();
  return verdict;
}

Tunnel* TunnelServer::find_sender(const Outer& outer, const boost::asio::ip::address& local,
                                  WallSeconds now) {
  const auto found = by_outer_.find(outer);
  if (found == by_outer_.end()) return nullptr;
  Tunnel& tunnel = *found->second;
  // Written only when it changes: another lane reads it.
  if (tunnel.last_seen.load(std::memory_order_relaxed) != now)
    tunnel.last_seen.store(now, std::memory_order_relaxed);
  if (local_of(tunnel) != local) tunnel.local.store(locals_.number_of(local), std::memory_order_release);
  return &tunnel;
}

TunnelServer::Verdict TunnelServer::from_peer(std::int64_t lease, std::span<const std::uint8_t> packet,
                                              WallSeconds now) {
  const auto found = tunnels_.find(lease);
  if (found == tunnels_.end()) return refuse(Drop::kUnknownPeer, packet);
  found->second->last_seen = now;
  return from_client(*found->second, packet);
}

TunnelServer::Verdict TunnelServer::from_client(Tunnel& tunnel, std::span<const std::uint8_t> packet) {
  const auto header = net::IpHeader::parse(packet);
  if (!header) return refuse(Drop::kMalformed, packet);
  if (header->is_local_scope()) return refuse(Drop::kLocalScope, packet);
  const bool is_right_family = header->is_v6()
                                   ? !is_v4_inside(tunnel.outer.mode)
                                   : is_v4_inside(tunnel.outer.mode) || tunnel.address_v4.has_value();
  const auto source = net::AddressV6(as_v6(header->source));
  const bool is_own_source =
      is_right_family && (source == tunnel.address || (tunnel.prefix && tunnel.prefix->contains(source)) ||
                          (!header->is_v6() && tunnel.address_v4 && header->source == *tunnel.address_v4));
  if (!is_own_source) {
    // A packet of the other family has no sender that an error through this tunnel could reach.
    return refuse(Drop::kForeignSource, packet,
                  is_right_family ? std::optional(net::Undeliverable::kForeignSource) : std::nullopt);
  }
  Verdict verdict;
  verdict.tunnel = &tunnel;
  return verdict;
}

TunnelServer::Verdict TunnelServer::from_inside(std::span<const std::uint8_t> packet, std::size_t largest) {
  const auto header = net::IpHeader::parse(packet);
  if (!header) return refuse(Drop::kMalformed, packet);
  if (header->is_local_scope()) return refuse(Drop::kLocalScope, packet);
  // An IPv6 packet to ::ffff:a.b.c.d is not one for the IPv4 client.
  const bool is_mapped = header->is_v6() && header->destination.to_v6().is_v4_mapped();
  const Tunnel* tunnel = is_mapped ? nullptr : find(net::AddressV6(as_v6(header->destination)));
  if (!tunnel) return refuse(Drop::kNoTunnel, packet, net::Undeliverable::kUnrouted);
  if (tunnel->outer.address.is_unspecified() && tunnel->outer.mode != LeaseMode::kWireguard)
    return refuse(Drop::kNotConnected, packet, net::Undeliverable::kUnreachable);
  // IPv4 that may be fragmented passes: the outer packet is fragmented (RFC 2473 section 7.2).
  const auto mtu = mtu_of(*tunnel);
  if (largest > mtu && !may_be_fragmented(packet))
    return refuse(Drop::kTooBig, packet, net::Undeliverable::kTooBig, mtu);
  Verdict verdict;
  verdict.tunnel = const_cast<Tunnel*>(tunnel);
  return verdict;
}

}  // namespace sixlink::registry
