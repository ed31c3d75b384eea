// SPDX-License-Identifier: BSD-3-Clause
// Packets, and tunnels as WireGuard has them: a handshake of one round trip, sent again every 5 s for 90 s,
// new keys every 120 s, peers that are found again where their packets come from.
#include <algorithm>

#include "tests/sim/world.h"

namespace sixlink::sim {
namespace {

// The WireGuard paper, section 6.1, and its messages' sizes.
constexpr std::chrono::seconds kRekeyTimeout{5};
constexpr std::chrono::milliseconds kMostRetryJitter{333};
constexpr std::chrono::seconds kRekeyAfter{120};
constexpr std::chrono::seconds kRejectAfter{180};
constexpr std::chrono::seconds kGiveUpAfter{90};
constexpr std::size_t kInitiationSize = 148;
constexpr std::size_t kResponseSize = 92;
constexpr std::size_t kConfirmationSize = 32;

constexpr std::size_t kOuterHeaders = 28;                         // IPv4, UDP
constexpr std::size_t kOverlayHeaders = 48 + 32 + kOuterHeaders;  // IPv6, UDP; WireGuard; outer: one hop's
constexpr std::size_t kMostDatagram = 1232;

// babeld's: on every link, from both ends.
constexpr std::chrono::seconds kHelloInterval{4};
constexpr std::size_t kHelloSize = 150;

Protocol protocol_of(mesh::Transport transport) {
  return transport == mesh::Transport::kTcp ? Protocol::kTcp : Protocol::kUdp;
}

mesh::Endpoint to_endpoint(const Address& address) {
  return {boost::asio::ip::address_v4(address.ip), address.port};
}

std::optional<Address> to_address(const mesh::Endpoint& endpoint) {
  if (!endpoint.address().is_v4()) return std::nullopt;
  return Address{endpoint.address().to_v4().to_uint(), endpoint.port()};
}

// How many of what is sent every `interval` fall between two times.
std::uint64_t beats(TimePoint from, TimePoint to, std::chrono::nanoseconds interval, std::uint64_t phase) {
  const auto offset = std::chrono::nanoseconds(
      static_cast<std::int64_t>(phase % static_cast<std::uint64_t>(interval.count())));
  return static_cast<std::uint64_t>((to.time_since_epoch() + offset) / interval -
                                    (from.time_since_epoch() + offset) / interval);
}

}  // namespace

// ---- packets on their way ----

std::uint64_t World::store(Packet packet) {
  if (free_packets_.empty()) {
    packets_.push_back(std::move(packet));
    return packets_.size() - 1;
  }
  const auto index = free_packets_.back();
  free_packets_.pop_back();
  packets_[index] = std::move(packet);
  return index;
}

World::Packet World::take(std::uint64_t index) {
  free_packets_.push_back(index);
  return std::move(packets_[index]);
}

void World::post(std::uint32_t from, const Address& to, Packet packet) {
  const auto passage = underlay_.send(from, to, packet.protocol, now_);
  if (!passage) return;
  packet.at = to;
  packet.source = passage->source;
  packet.from = from;
  if (settings_.damage > 0 && packet.kind == Packet::Kind::kControl && !packet.bytes.empty() &&
      std::uniform_real_distribution<double>()(random_) < settings_.damage)
    packet.bytes[random_() % packet.bytes.size()] ^= static_cast<std::uint8_t>(1 + random_() % 255);
  schedule(now_ + passage->delay, Event::Kind::kPacket, passage->machine, store(std::move(packet)));
}

void World::post_overlay(std::uint32_t from, std::uint32_t to, Packet packet) {
  ++totals_.overlay_sent;
  const auto works = [this](std::uint32_t a, std::uint32_t b) { return has_way(a, b); };
  const auto delay = router_.carry(from, to, underlay_, works);
  if (!delay) {
    ++totals_.overlay_lost;
    return;
  }
  packet.from = from;
  schedule(now_ + *delay, Event::Kind::kPacket, to, store(std::move(packet)));
}

void World::count_sent(std::uint32_t number, std::size_t bytes, std::size_t headers) {
  ++totals_.datagrams;
  totals_.wire_bytes += bytes + headers;
  auto& host = hosts_[number];
  const auto second = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now_.time_since_epoch()).count());
  if (host.second != second) {
    host.second = second;
    host.sent_in_second = 0;
  }
  peak_rate_ = std::max<std::size_t>(peak_rate_, ++host.sent_in_second);
}

void World::do_send(std::uint32_t number, mesh::SendDatagram& send) {
  if (send.bytes.empty() || send.bytes.size() > kMostDatagram)
    break_rule(number, "sends a datagram of " + std::to_string(send.bytes.size()) + " bytes");
  Packet packet;
  packet.from_end.life = hosts_[number].life;
  const auto bytes = send.bytes.size();
  packet.bytes = std::move(send.bytes);
  switch (send.path.way) {
    case mesh::Way::kOuter: {
      count_sent(number, bytes, kOuterHeaders);
      packet.protocol = protocol_of(send.path.transport);
      if (const auto to = to_address(send.path.endpoint)) post(number, *to, std::move(packet));
      break;
    }
    case mesh::Way::kLink: {
      auto* tunnel = find_tunnel(number, send.path.link);
      if (!tunnel) {
        break_rule(number, "sends in a link that is not there");
        return;
      }
      count_sent(number, bytes, kOverlayHeaders);
      if (!tunnel->is_open || now_ - tunnel->session_at >= kRejectAfter) return;
      ++tunnel->sent;
      tunnel->bytes += bytes + kOverlayHeaders - kOuterHeaders;
      packet.kind = Packet::Kind::kInside;
      packet.protocol = tunnel->protocol;
      packet.from_end.link = tunnel->link;
      packet.to_link = tunnel->other.link;
      post(number, tunnel->remote, std::move(packet));
      break;
    }
    case mesh::Way::kOverlay: {
      count_sent(number, bytes, kOverlayHeaders);
      const auto address = send.path.endpoint.address();
      const auto prefix =
          address.is_v6() ? net::Prefix::make(net::mask(address.to_v6(), 64), 64) : std::nullopt;
      const auto to = prefix ? number_of(*prefix, size()) : std::nullopt;
      if (!to || *to == number) {
        break_rule(number, "sends over the overlay to what is no other node");
        return;
      }
      packet.kind = Packet::Kind::kOverlay;
      post_overlay(number, *to, std::move(packet));
      break;
    }
  }
}

void World::on_packet(std::uint32_t number, Packet packet) {
  if (packet.kind == Packet::Kind::kOverlay) {
    auto address = prefix_of(packet.from).address.to_bytes();
    address[15] = 1;
    mesh::Path path;
    path.way = mesh::Way::kOverlay;
    path.endpoint = {net::AddressV6(address), kPort};
    hosts_[number].node->input(packet.bytes, path, times());
    settle(number);
    return;
  }
  if (underlay_.is_cut(number, packet.from) ||
      !underlay_.lets_in(number, packet.at, packet.source, packet.protocol, now_))
    return;
  switch (packet.kind) {
    case Packet::Kind::kControl: {
      mesh::Path path;
      path.endpoint = to_endpoint(packet.source);
      if (packet.protocol == Protocol::kTcp) path.transport = mesh::Transport::kTcp;
      hosts_[number].node->input(packet.bytes, path, times());
      settle(number);
      break;
    }
    case Packet::Kind::kInside:
    case Packet::Kind::kConfirmation:
      on_inside(number, packet);
      break;
    default:
      on_handshake_packet(number, packet);
      break;
  }
}

// ---- tunnels ----

Tunnel* World::find_tunnel(std::uint32_t number, mesh::LinkId link) {
  auto& tunnels = hosts_[number].tunnels;
  const auto found = std::ranges::lower_bound(tunnels, link, {}, &Tunnel::link);
  return found == tunnels.end() || found->link != link ? nullptr : &*found;
}

const Tunnel* World::find_tunnel(std::uint32_t number, mesh::LinkId link) const {
  const auto& tunnels = hosts_[number].tunnels;
  const auto found = std::ranges::lower_bound(tunnels, link, {}, &Tunnel::link);
  return found == tunnels.end() || found->link != link ? nullptr : &*found;
}

void World::do_open(std::uint32_t number, const mesh::OpenLink& open) {
  const auto peer = number_of(open.peer, size());
  if (!peer || *peer == number) return break_rule(number, "opens a link to what is no other node");
  if (open.key != key_of(*peer)) return break_rule(number, "opens a link with a key that is not the peer's");
  // They grow, and find_tunnel() relies on it.
  const auto& tunnels = hosts_[number].tunnels;
  if (open.link == 0 || (!tunnels.empty() && tunnels.back().link >= open.link))
    return break_rule(number, "uses a link's number again");
  if (hosts_[number].contacts->is_revoked(*peer)) break_rule(number, "opens a link to a revoked node");
  const auto remote = to_address(open.endpoint);
  Tunnel tunnel;
  tunnel.link = open.link;
  tunnel.peer = *peer;
  tunnel.remote = remote.value_or(Address{});
  tunnel.protocol = protocol_of(open.transport);
  tunnel.is_initiator = open.is_initiator;
  hosts_[number].tunnels.push_back(tunnel);
  ++totals_.links_opened;
  if (open.is_initiator) on_retry(number, open.link);
}

// The initiator's turn: the first handshake, its repetition, or new keys.
void World::on_retry(std::uint32_t number, mesh::LinkId link) {
  auto* tunnel = find_tunnel(number, link);
  if (!tunnel) return;
  if (tunnel->is_open && now_ - tunnel->session_at < kRekeyAfter) {
    tunnel->give_up_at = TimePoint::max();
    schedule(tunnel->session_at + kRekeyAfter, Event::Kind::kRetryHandshake, number, link);
    return;
  }
  if (tunnel->give_up_at == TimePoint::max()) tunnel->give_up_at = now_ + kGiveUpAfter;
  if (now_ >= tunnel->give_up_at) {
    hosts_[number].node->on_link_failed(link, "no answer to its handshakes", times());
    settle(number);
    return;
  }
  ++totals_.handshakes;
  totals_.handshake_bytes += kInitiationSize + kOuterHeaders;
  Packet packet;
  packet.kind = Packet::Kind::kInitiation;
  packet.protocol = tunnel->protocol;
  packet.from_end = {link, hosts_[number].life};
  post(number, tunnel->remote, std::move(packet));
  const auto jitter =
      std::chrono::milliseconds(static_cast<std::int64_t>(random_() % kMostRetryJitter.count()));
  schedule(now_ + kRekeyTimeout + jitter, Event::Kind::kRetryHandshake, number, link);
}

void World::on_handshake_packet(std::uint32_t number, const Packet& packet) {
  auto& tunnels = hosts_[number].tunnels;
  Packet answer;
  answer.protocol = packet.protocol;
  answer.to_link = packet.from_end.link;
  if (packet.kind == Packet::Kind::kInitiation) {
    // The newest of this peer's; rather one that waits for it.
    auto found = tunnels.rend();
    for (auto one = tunnels.rbegin(); one != tunnels.rend(); ++one) {
      if (one->peer != packet.from) continue;
      if (found == tunnels.rend() || (found->is_initiator && !one->is_initiator)) found = one;
    }
    if (found == tunnels.rend()) return;
    found->offered = packet.from_end;
    found->remote = packet.source;
    found->protocol = packet.protocol;
    answer.kind = Packet::Kind::kResponse;
    answer.from_end = {found->link, hosts_[number].life};
    totals_.handshake_bytes += kResponseSize + kOuterHeaders;
    post(number, packet.source, std::move(answer));
    return;
  }
  auto* tunnel = find_tunnel(number, packet.to_link);
  if (!tunnel || tunnel->peer != packet.from) return;
  tunnel->other = packet.from_end;
  tunnel->remote = packet.source;
  tunnel->session_at = now_;
  tunnel->is_open = true;
  answer.kind = Packet::Kind::kConfirmation;
  answer.from_end = {tunnel->link, hosts_[number].life};
  totals_.handshake_bytes += kConfirmationSize + kOuterHeaders;
  ++tunnel->sent;
  const auto link = tunnel->link;
  post(number, packet.source, std::move(answer));
  hosts_[number].node->on_handshake(link, times());
  settle(number);
}

// Encrypted: what the session's other end sent, and nothing else.
void World::on_inside(std::uint32_t number, const Packet& packet) {
  auto* tunnel = find_tunnel(number, packet.to_link);
  if (!tunnel || tunnel->peer != packet.from) return;
  const auto link = tunnel->link;
  if (tunnel->offered == packet.from_end) {
    tunnel->other = packet.from_end;
    tunnel->offered = {};
    tunnel->session_at = now_;
    tunnel->is_open = true;
    hosts_[number].node->on_handshake(link, times());
    settle(number);
    tunnel = find_tunnel(number, link);
    if (!tunnel) return;
  }
  if (!tunnel->is_open || tunnel->other != packet.from_end || now_ - tunnel->session_at >= kRejectAfter)
    return;
  tunnel->remote = packet.source;
  ++tunnel->received;
  tunnel->bytes += packet.bytes.size() + kConfirmationSize;
  if (packet.kind != Packet::Kind::kInside) return;
  mesh::Path path;
  path.way = mesh::Way::kLink;
  path.link = link;
  hosts_[number].node->input(packet.bytes, path, times());
  settle(number);
}

void World::do_use(std::uint32_t number, mesh::LinkId link) {
  auto* tunnel = find_tunnel(number, link);
  if (!tunnel) return break_rule(number, "uses a link that is not there");
  if (!tunnel->is_open) break_rule(number, "uses a link before its handshake");
  if (tunnel->is_used) break_rule(number, "uses a link twice");
  tunnel->is_used = true;
  router_.add_link(number, link, tunnel->peer);
}

void World::do_close(std::uint32_t number, mesh::LinkId link) {
  router_.remove_link(number, link);
  if (std::erase_if(hosts_[number].tunnels, [&](const Tunnel& one) { return one.link == link; }) == 0)
    break_rule(number, "closes a link that is not there");
}

// Where what this end sends arrives, but for accidents. Null: it does not.
const Tunnel* World::other_end(std::uint32_t number, const Tunnel& tunnel) const {
  if (!tunnel.is_open || !alive_[tunnel.peer] || hosts_[tunnel.peer].life != tunnel.other.life ||
      underlay_.is_cut(number, tunnel.peer))
    return nullptr;
  const auto* other = find_tunnel(tunnel.peer, tunnel.other.link);
  return other && other->is_open && other->other == End{tunnel.link, hosts_[number].life} ? other : nullptr;
}

bool World::has_way(std::uint32_t from, std::uint32_t to) const {
  if (!alive_[from]) return false;
  return std::ranges::any_of(hosts_[from].tunnels, [&](const Tunnel& one) {
    return one.peer == to && one.is_used && carries(from, one);
  });
}

// babeld's hellos are not packets here; they are counted as if they were.
void World::count_hellos(std::uint32_t number, Tunnel& tunnel, TimePoint from) const {
  if (!tunnel.is_used) return;
  const auto phase = [](std::uint32_t node, mesh::LinkId link) {
    return scramble((static_cast<std::uint64_t>(node) << 32) ^ link);
  };
  const auto sent = beats(from, now_, kHelloInterval, phase(number, tunnel.link));
  tunnel.sent += sent;
  tunnel.bytes += sent * kHelloSize;
  const auto received = beats(from, now_, kHelloInterval, phase(tunnel.peer, tunnel.other.link));
  // Most looks are between two hellos; the other end is far away in memory.
  if (received == 0 || !is_used_by_both(number, tunnel)) return;
  tunnel.received += received;
  tunnel.bytes += received * kHelloSize;
}

}  // namespace sixlink::sim
