// SPDX-License-Identifier: BSD-3-Clause
// Devices on a network in memory, with a clock that the test moves. Deterministic: randomness is seeded.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "src/wireguard/device.h"
#include "src/wireguard/keys.h"
#include "src/wireguard/messages.h"

namespace sixlink::wireguard {

// So that a failed check says it in words.
inline doctest::String toString(Outcome outcome) {
  return to_string(outcome);
}

}  // namespace sixlink::wireguard

namespace sixlink::wireguard::test {

using Packet = std::vector<std::uint8_t>;

inline net::Prefix prefix(const char* text) {
  if (const auto v4 = net::PrefixV4::parse(text)) return net::v4_mapped(*v4);
  return net::Prefix::parse(text).value();
}

inline boost::asio::ip::udp::endpoint at(const char* address, std::uint16_t port) {
  return {boost::asio::ip::make_address(address), port};
}

// IPv6 with a payload of zeros.
inline Packet ip_packet(const char* source, const char* destination, std::size_t size = 100) {
  Packet packet(size);
  packet[0] = 0x60;
  packet[4] = static_cast<std::uint8_t>((size - 40) >> 8);
  packet[5] = static_cast<std::uint8_t>(size - 40);
  packet[6] = 59;
  packet[7] = 64;
  const auto from = boost::asio::ip::make_address_v6(source).to_bytes();
  const auto to = boost::asio::ip::make_address_v6(destination).to_bytes();
  std::copy(from.begin(), from.end(), packet.begin() + 8);
  std::copy(to.begin(), to.end(), packet.begin() + 24);
  return packet;
}

// One device, and what came out of it.
struct Node {
  Node(unsigned seed, const char* address, Settings settings = {})
      : random(seed),
        place(at(address, 51820)),
        key(make_key()),
        device(key.duplicate(), with_fakes(std::move(settings))) {}

  SecretKey make_key() {
    SecretKey made;
    for (auto& byte : made.writable()) byte = static_cast<std::uint8_t>(random());
    return made;
  }
  Settings with_fakes(Settings settings) {
    settings.random = [this](std::span<std::uint8_t> bytes) {
      for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    };
    settings.wall_clock = [this] { return wall; };
    return settings;
  }

  std::mt19937 random;
  boost::asio::ip::udp::endpoint place;
  SecretKey key;
  std::chrono::system_clock::time_point wall{std::chrono::seconds(1'780'000'000)};
  Device device;
  std::vector<Packet> received;
  std::vector<Actions::Change> changes;
};

// Two devices that know each other: a is 2001:db8::a, b is 2001:db8::b inside.
class Pair {
 public:
  using Filter = std::function<bool(const Actions::Datagram&, bool is_from_a)>;

  explicit Pair(Settings a_settings = {}, Settings b_settings = {}, bool has_preshared_key = false)
      : a(1, "192.0.2.1", std::move(a_settings)), b(2, "198.51.100.1", std::move(b_settings)) {
    const auto preshared = b.make_key();
    peer_b = add(a, b, "2001:db8::b/128", has_preshared_key ? &preshared : nullptr, true);
    peer_a = add(b, a, "2001:db8::a/128", has_preshared_key ? &preshared : nullptr, false);
  }

  static PeerId add(Node& node, Node& other, const char* allowed, const SecretKey* preshared,
                    bool knows_endpoint) {
    PeerConfig config;
    config.public_key = other.device.public_key();
    if (preshared) config.preshared_key = preshared->duplicate();
    if (knows_endpoint) config.endpoint = other.place;
    config.allowed_ips = {prefix(allowed)};
    Actions actions;
    return node.device.add_peer(std::move(config), TimePoint{}, actions).value();
  }

  Outcome send(Node& from, const Packet& packet) {
    Actions actions;
    const auto outcome = from.device.send(packet, now, actions);
    handle(from, actions);
    return outcome;
  }
  Outcome a_sends(std::size_t size = 100) { return send(a, ip_packet("2001:db8::a", "2001:db8::b", size)); }
  Outcome b_sends(std::size_t size = 100) { return send(b, ip_packet("2001:db8::b", "2001:db8::a", size)); }

  // Datagrams that are on the way arrive, and so do their answers.
  void settle() {
    while (!wire.empty()) {
      auto [datagram, is_from_a] = std::move(wire.front());
      wire.pop_front();
      inject(is_from_a ? b : a, datagram.bytes, is_from_a ? a.place : b.place);
    }
  }
  Outcome inject(Node& to, Packet bytes, const boost::asio::ip::udp::endpoint& from) {
    Actions actions;
    const auto outcome = to.device.input(bytes, {from, to.place.address()}, now, actions);
    outcomes.push_back(outcome);
    handle(to, actions);
    return outcome;
  }
  // Both get what is due until `later`, in order.
  void advance(TimePoint::duration later) {
    const auto end = now + later;
    while (true) {
      const auto next = std::min(a.device.deadline(), b.device.deadline());
      if (next > end) break;
      move_clock(std::max(next, now));
      tick();
      settle();
    }
    move_clock(end);
  }
  void tick() {
    for (auto* const node : {&a, &b}) {
      Actions actions;
      node->device.tick(now, actions);
      CHECK(node->device.deadline() > now);
      handle(*node, actions);
    }
  }
  void move_clock(TimePoint to) {
    const auto step = std::chrono::duration_cast<std::chrono::system_clock::duration>(to - now);
    a.wall += step;
    b.wall += step;
    now = to;
  }
  void handle(Node& node, Actions& actions) {
    for (auto& change : actions.changes) node.changes.push_back(change);
    for (auto& packet : actions.packets) node.received.push_back(std::move(packet.bytes));
    for (auto& datagram : actions.datagrams) {
      const bool is_from_a = &node == &a;
      sent.push_back({classify(datagram.bytes).value_or(MessageType::kData), datagram.bytes, is_from_a, now,
                      datagram.to});
      if (filter && !filter(datagram, is_from_a)) continue;
      wire.emplace_back(std::move(datagram), is_from_a);
    }
  }
  void establish() {
    a_sends();
    settle();
    REQUIRE(b.received.size() == 1);
    b.received.clear();
    sent.clear();
    outcomes.clear();
  }
  // A round trip of data works.
  void check_works() {
    a.received.clear();
    b.received.clear();
    a_sends(200);
    settle();
    b_sends(300);
    settle();
    REQUIRE(b.received.size() == 1);
    CHECK(b.received[0].size() == 200);
    REQUIRE(a.received.size() == 1);
    CHECK(a.received[0].size() == 300);
  }
  std::size_t count(MessageType type, bool is_from_a) const {
    return static_cast<std::size_t>(std::count_if(
        sent.begin(), sent.end(), [&](const Sent& s) { return s.type == type && s.is_from_a == is_from_a; }));
  }

  struct Sent {
    MessageType type;
    Packet bytes;
    bool is_from_a;
    TimePoint when;
    Endpoint to;
  };

  TimePoint now{std::chrono::hours(1000)};
  Node a;
  Node b;
  PeerId peer_b;  // in a's device
  PeerId peer_a;  // in b's
  std::deque<std::pair<Actions::Datagram, bool>> wire;
  std::vector<Sent> sent;  // lost ones too
  std::vector<Outcome> outcomes;
  Filter filter;  // false: lost
};

}  // namespace sixlink::wireguard::test
