// SPDX-License-Identifier: BSD-3-Clause
// The tunnel server's decisions.
#include "registry/broker/tunnel_server.h"

#include <algorithm>
#include <cstring>

namespace sixlink::registry {
namespace {

using datapath::Drop;

std::uint64_t mix(std::uint64_t value) {
  // The finalizer of SplitMix64: neighbouring addresses must not share buckets.
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
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
         static_cast<std::size_t>(mix(outer.port * 2U + (outer.mode == LeaseMode::kV6V4 ? 1U : 0U)));
}

void TunnelServer::unlink(const Tunnel& tunnel) {
  by_address_.erase(tunnel.address.to_bytes());
  if (tunnel.prefix) {
    auto& table = by_prefix_[static_cast<std::size_t>(tunnel.prefix->length)];
    table.erase(tunnel.prefix->address.to_bytes());
    if (table.empty()) std::erase(lengths_, tunnel.prefix->length);
  }
  if (const auto found = by_outer_.find(tunnel.outer); found != by_outer_.end() && found->second == &tunnel)
    by_outer_.erase(found);
}

void TunnelServer::put(const Lease& lease) {
  auto& slot = tunnels_[lease.id];
  if (slot) {
    unlink(*slot);
  } else {
    slot = std::make_unique<Tunnel>();
  }
  Tunnel& tunnel = *slot;
  const Outer outer{lease.mode, lease.outer_address, lease.outer_port};
  // Another address of ours may be spoken to from a new place.
  if (tunnel.outer != outer) tunnel.local = boost::asio::ip::address();
  tunnel.lease = lease.id;
  tunnel.address = lease.address;
  tunnel.prefix = lease.prefix;
  tunnel.outer = outer;
  by_address_[lease.address.to_bytes()] = &tunnel;
  if (lease.prefix) {
    by_prefix_[static_cast<std::size_t>(lease.prefix->length)][lease.prefix->address.to_bytes()] = &tunnel;
    if (std::find(lengths_.begin(), lengths_.end(), lease.prefix->length) == lengths_.end()) {
      lengths_.push_back(lease.prefix->length);
      std::sort(lengths_.rbegin(), lengths_.rend());
    }
  }
  if (outer.address.is_unspecified()) return;
  auto& holder = by_outer_[outer];
  if (holder && holder != &tunnel) holder->outer = Outer{};
  holder = &tunnel;
}

void TunnelServer::remove(std::int64_t lease) {
  const auto found = tunnels_.find(lease);
  if (found == tunnels_.end()) return;
  unlink(*found->second);
  tunnels_.erase(found);
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

TunnelServer::Verdict TunnelServer::refuse(Drop reason, std::optional<net::IcmpError> error,
                                           std::uint32_t parameter, std::span<const std::uint8_t> packet) {
  counters_.drop(reason);
  Verdict verdict;
  verdict.drop = reason;
  if (error && errors_left_ > 0) {
    verdict.error = net::make_error(*error, parameter, settings_.broker_address, packet);
    if (verdict.error) --errors_left_;
  }
  return verdict;
}

TunnelServer::Verdict TunnelServer::from_client(const Outer& outer, const boost::asio::ip::address& local,
                                                std::span<const std::uint8_t> packet, WallSeconds now) {
  const auto found = by_outer_.find(outer);
  if (found == by_outer_.end()) return refuse(Drop::kUnknownPeer, std::nullopt, 0, packet);
  Tunnel& tunnel = *found->second;
  const auto header = net::Ipv6Header::parse(packet);
  if (!header) return refuse(Drop::kMalformed, std::nullopt, 0, packet);
  tunnel.last_seen = now;
  tunnel.local = local;
  if (datapath::is_local_scope(*header)) return refuse(Drop::kLocalScope, std::nullopt, 0, packet);
  const bool is_own_source =
      header->source == tunnel.address || (tunnel.prefix && tunnel.prefix->contains(header->source));
  if (!is_own_source) return refuse(Drop::kForeignSource, net::kSourcePolicy, 0, packet);
  ++counters_.packets_in;
  counters_.bytes_in += packet.size();
  return {};
}

TunnelServer::Verdict TunnelServer::from_inside(std::span<const std::uint8_t> packet) {
  const auto header = net::Ipv6Header::parse(packet);
  if (!header) return refuse(Drop::kMalformed, std::nullopt, 0, packet);
  if (datapath::is_local_scope(*header)) return refuse(Drop::kLocalScope, std::nullopt, 0, packet);
  const Tunnel* tunnel = find(header->destination);
  if (!tunnel) return refuse(Drop::kNoTunnel, net::kNoRoute, 0, packet);
  if (tunnel->outer.address.is_unspecified())
    return refuse(Drop::kNotConnected, net::kAddressUnreachable, 0, packet);
  if (packet.size() > settings_.mtu)
    return refuse(Drop::kTooBig, net::kPacketTooBig, static_cast<std::uint32_t>(settings_.mtu), packet);
  Verdict verdict;
  verdict.tunnel = tunnels_.find(tunnel->lease)->second.get();
  return verdict;
}

}  // namespace sixlink::registry
