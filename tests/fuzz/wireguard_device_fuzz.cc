// SPDX-License-Identifier: BSD-3-Clause
// Two WireGuard devices and a hostile network between them.
#include <algorithm>
#include <deque>
#include <random>
#include <vector>

#include "src/wireguard/cookie.h"
#include "src/wireguard/device.h"
#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {
namespace {

using namespace wireguard;
using Packet = std::vector<std::uint8_t>;

constexpr std::size_t kMostSteps = 200;

struct End {
  End(unsigned seed, const char* address)
      : random(seed), place(boost::asio::ip::make_address(address), 51820), device(key(), settings()) {}
  SecretKey key() {
    SecretKey made;
    fill(made.writable());
    return made;
  }
  void fill(std::span<std::uint8_t> bytes) {
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  }
  Settings settings() {
    Settings made;
    made.random = [this](std::span<std::uint8_t> bytes) { fill(bytes); };
    made.wall_clock = [this] { return std::chrono::system_clock::time_point(wall); };
    made.busy_handshakes_per_second = 80;  // so that a fuzzer can make it busy
    return made;
  }

  std::mt19937 random;
  boost::asio::ip::udp::endpoint place;
  std::chrono::seconds wall{1'780'000'000};
  Device device;
  PeerId peer;
  std::vector<Packet> received;
};

class Network {
 public:
  Network() : a_(1, "192.0.2.1"), b_(2, "2001:db8::2") {
    a_.peer = introduce(a_, b_, "2001:db8::b/128", true);
    b_.peer = introduce(b_, a_, "2001:db8::a/128", false);
    send(a_, inner(10, 11));
    settle();
    expect(b_.received.size() == 1, "a session is made");
  }

  void step(Records& records) {
    const auto choice = records.byte();
    const bool is_to_b = (choice & 8) != 0;
    End& target = is_to_b ? b_ : a_;
    End& other = is_to_b ? a_ : b_;
    switch (choice & 7) {
      case 0:
      case 1: {
        const auto bytes = records.next();
        Packet datagram(bytes.begin(), bytes.end());
        // As by one who knows the public keys.
        if ((choice & 1) != 0 && datagram.size() >= Macs::kSize)
          CookieHolder().write_macs(crypto_, target.device.public_key(), datagram, now_);
        const auto before = target.received.size();
        arrive(target, datagram, {(choice & 16) != 0 ? other.place : stranger_, {}});
        expect(target.received.size() == before, "what a stranger makes is no data");
        break;
      }
      case 2: {
        const auto bytes = records.next();
        Actions actions;
        target.device.send_to(target.peer, bytes, now_, actions);
        handle(target, actions);
        break;
      }
      case 3:
        advance(std::chrono::milliseconds(records.byte() * records.byte()));
        break;
      case 4:
        settle();
        break;
      case 5:
        if (!wire_.empty()) wire_.pop_front();
        break;
      case 6: {  // changed on the way
        if (wire_.empty()) break;
        auto& bytes = wire_.front().bytes;
        const auto changes = records.next();
        const std::size_t from = records.byte();
        for (std::size_t i = 0; i < changes.size() && from + i < bytes.size(); ++i)
          bytes[from + i] ^= changes[i];
        if ((choice & 16) != 0) bytes.resize(std::min(bytes.size(), from));
        break;
      }
      case 7:  // twice, out of order
        if (!wire_.empty()) wire_.push_back(wire_.front());
        break;
    }
  }

  void check_works() {
    // Longer than any key lives.
    for (int i = 0; i < 40; ++i) {
      settle();
      advance(std::chrono::seconds(5));
    }
    wire_.clear();
    a_.received.clear();
    b_.received.clear();
    send(a_, inner(10, 11));
    settle();
    advance(std::chrono::seconds(6));
    send(b_, inner(11, 10));
    settle();
    const auto has = [](const End& end, const Packet& packet) {
      return std::find(end.received.begin(), end.received.end(), packet) != end.received.end();
    };
    expect(has(b_, inner(10, 11)), "the next good message arrives");
    expect(has(a_, inner(11, 10)), "and its answer");
  }

 private:
  struct Datagram {
    bool is_from_a;
    Packet bytes;
  };

  static PeerId introduce(End& end, End& other, const char* inner, bool knows_endpoint) {
    PeerConfig config;
    config.public_key = other.device.public_key();
    if (knows_endpoint) config.endpoint = other.place;
    config.allowed_ips = {net::Prefix::parse(inner).value()};
    Actions actions;
    return end.device.add_peer(std::move(config), TimePoint{}, actions).value();
  }
  // From 2001:db8::`source` to 2001:db8::`destination`.
  static Packet inner(std::uint8_t source, std::uint8_t destination) {
    Packet packet(40);
    packet[0] = 0x60;
    packet[8] = packet[24] = 0x20;
    packet[9] = packet[25] = 0x01;
    packet[10] = packet[26] = 0x0d;
    packet[11] = packet[27] = 0xb8;
    packet[23] = source;
    packet[39] = destination;
    return packet;
  }
  void send(End& from, const Packet& packet) {
    Actions actions;
    from.device.send(packet, now_, actions);
    handle(from, actions);
  }
  void arrive(End& at, Packet bytes, const Endpoint& from) {
    Actions actions;
    at.device.input(bytes, from, now_, actions);
    handle(at, actions);
  }
  void handle(End& from, Actions& actions) {
    expect(actions.datagrams.size() <= kMostStagedPackets + 2, "an event makes few datagrams");
    for (auto& packet : actions.packets) {
      expect(from.device.allowed_ips().find_source(packet.bytes) == packet.peer.slot,
             "only the peer's sources");
      from.received.push_back(std::move(packet.bytes));
    }
    for (auto& datagram : actions.datagrams) {
      if (wire_.size() < 500) wire_.push_back({&from == &a_, std::move(datagram.bytes)});
    }
  }
  void settle() {
    for (int i = 0; i < 2000 && !wire_.empty(); ++i) {
      auto datagram = std::move(wire_.front());
      wire_.pop_front();
      arrive(datagram.is_from_a ? b_ : a_, std::move(datagram.bytes),
             {datagram.is_from_a ? a_.place : b_.place, {}});
    }
  }
  void advance(std::chrono::milliseconds time) {
    const auto end = now_ + time;
    while (true) {
      const auto next = std::min(a_.device.deadline(), b_.device.deadline());
      if (next > end) break;
      a_.wall += std::chrono::seconds(1);
      b_.wall += std::chrono::seconds(1);
      now_ = std::max(next, now_);
      for (auto* const node : {&a_, &b_}) {
        Actions actions;
        node->device.tick(now_, actions);
        expect(node->device.deadline() > now_, "what is due is done");
        handle(*node, actions);
      }
    }
    now_ = end;
  }

  Crypto crypto_;
  TimePoint now_{std::chrono::hours(1000)};
  End a_;
  End b_;
  const boost::asio::ip::udp::endpoint stranger_{boost::asio::ip::make_address("203.0.113.66"), 666};
  std::deque<Datagram> wire_;
};

}  // namespace

void wireguard_device(Input input) {
  Network network;
  Records records(input);
  for (std::size_t i = 0; i < kMostSteps && !records.is_empty(); ++i) network.step(records);
  network.check_works();
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(wireguard_device)
