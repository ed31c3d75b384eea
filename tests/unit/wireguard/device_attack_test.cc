// SPDX-License-Identifier: BSD-3-Clause
// What a hostile network or peer can send. After each, the next good message works.
#include <doctest/doctest.h>

#include <set>

#include "src/wireguard/cookie.h"
#include "src/wireguard/sealer.h"
#include "tests/unit/wireguard/devices.h"

using namespace sixlink::wireguard;
using namespace sixlink::wireguard::test;
using namespace std::chrono_literals;

namespace {

// The messages of one session: initiation, response, data.
struct Recorded {
  explicit Recorded(Pair& net) {
    net.a_sends();
    net.settle();
    net.b_sends();
    net.settle();
    for (const auto& sent : net.sent) messages.push_back({sent.bytes, sent.is_from_a});
  }
  struct Message {
    Packet bytes;
    bool is_from_a;
  };
  std::vector<Message> messages;
};

bool is_good(Outcome outcome) {
  return outcome == Outcome::kHandshakeAnswered || outcome == Outcome::kSessionMade ||
         outcome == Outcome::kData || outcome == Outcome::kKeepalive || outcome == Outcome::kCookieTaken;
}

// Initiations to b that are right as far as can be seen without b's work: made by someone who has b's public
// key only.
class Flooder {
 public:
  explicit Flooder(const PublicKey& target) : target_(target), random_(77) {}
  Packet initiation(TimePoint now) {
    Packet message(kInitiationSize);
    for (auto& byte : message) byte = static_cast<std::uint8_t>(random_());
    message[0] = 1;
    message[1] = message[2] = message[3] = 0;
    holder_.write_macs(crypto_, target_, message, now);
    return message;
  }
  bool take(const Packet& cookie, TimePoint now) {
    return holder_.take(crypto_, target_, CookieReply::read(std::span<const std::uint8_t, 64>(cookie)), now);
  }

 private:
  Crypto crypto_;
  PublicKey target_;
  std::mt19937 random_;
  CookieHolder holder_;
};

}  // namespace

TEST_CASE("wireguard attack: replayed messages of each type") {
  Pair net;
  const Recorded recorded(net);
  REQUIRE(recorded.messages.size() == 4);
  for (int round = 0; round < 3; ++round) {
    net.advance(1s);
    for (const auto& message : recorded.messages) {
      auto& target = message.is_from_a ? net.b : net.a;
      const auto outcome = net.inject(target, message.bytes, at("203.0.113.66", 666));
      CHECK_MESSAGE(!is_good(outcome), outcome);
      CHECK(net.wire.empty());
    }
    net.check_works();
  }
  CHECK(net.b.device.counters()[Outcome::kReplayed] == 6);  // three initiations, three data messages
  CHECK(net.a.device.counters()[Outcome::kUnknownIndex] == 3);
}

TEST_CASE("wireguard attack: an initiation of long ago does not become valid with the keys gone") {
  Pair net;
  const Recorded recorded(net);
  net.advance(3600s);
  CHECK(net.inject(net.b, recorded.messages[0].bytes, net.a.place) == Outcome::kReplayed);
  CHECK(net.wire.empty());
  net.check_works();
}

TEST_CASE("wireguard attack: initiations that overtake each other: only the newest counts") {
  Pair net;
  net.filter = [](const auto&, bool) { return false; };
  net.a_sends();
  net.advance(6s);
  REQUIRE(net.count(MessageType::kInitiation, true) == 2);
  net.filter = nullptr;
  CHECK(net.inject(net.b, net.sent[1].bytes, net.a.place) == Outcome::kHandshakeAnswered);
  CHECK(net.inject(net.b, net.sent[0].bytes, net.a.place) == Outcome::kReplayed);
  net.settle();
  net.check_works();
}

TEST_CASE("wireguard attack: reflected messages of each type") {
  Pair net;
  const Recorded recorded(net);
  for (const auto& message : recorded.messages) {
    auto& target = message.is_from_a ? net.a : net.b;
    const auto outcome = net.inject(target, message.bytes, message.is_from_a ? net.b.place : net.a.place);
    CHECK_MESSAGE(!is_good(outcome), outcome);
    CHECK(net.wire.empty());
    net.check_works();
  }
}

TEST_CASE("wireguard attack: truncated and lengthened messages of each type") {
  Pair net;
  const Recorded recorded(net);
  for (const auto& message : recorded.messages) {
    auto& target = message.is_from_a ? net.b : net.a;
    const auto from = message.is_from_a ? net.a.place : net.b.place;
    for (std::size_t size = 0; size < message.bytes.size(); ++size) {
      const auto outcome = net.inject(
          target, Packet(message.bytes.begin(), message.bytes.begin() + static_cast<long>(size)), from);
      CHECK_FALSE(is_good(outcome));
    }
    for (const std::size_t more : {1, 16, 1000, 60000}) {
      auto longer = message.bytes;
      longer.resize(longer.size() + more);
      CHECK_FALSE(is_good(net.inject(target, longer, from)));
    }
    CHECK(net.wire.empty());
    net.check_works();
  }
}

TEST_CASE("wireguard attack: every bit of each message counts") {
  // In a handshake that is under way, so that all but the change would be right.
  const auto survives = [](MessageType type) {
    Pair net;
    Packet victim;
    bool is_to_b = false;
    net.filter = [&](const Actions::Datagram& datagram, bool is_from_a) {
      if (classify(datagram.bytes) != type || !victim.empty()) return true;
      victim = datagram.bytes;
      is_to_b = is_from_a;
      return false;
    };
    net.a_sends();
    net.settle();
    REQUIRE_FALSE(victim.empty());
    auto& target = is_to_b ? net.b : net.a;
    const auto from = is_to_b ? net.a.place : net.b.place;
    for (std::size_t bit = 0; bit < victim.size() * 8; ++bit) {
      auto changed = victim;
      changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ 1U << bit % 8);
      const bool is_mac2 =
          type != MessageType::kData && bit / 8 >= victim.size() - 16;  // not looked at without load
      const auto outcome = is_mac2 ? Outcome::kForged : net.inject(target, changed, from);
      CHECK_MESSAGE(!is_good(outcome), bit);
    }
    CHECK(net.wire.empty());
    // The unchanged one still does what it is for.
    CHECK(is_good(net.inject(target, victim, from)));
    net.settle();
    net.check_works();
  };
  survives(MessageType::kInitiation);
  survives(MessageType::kResponse);
  survives(MessageType::kData);
}

TEST_CASE("wireguard attack: messages of noise") {
  Pair net;
  net.establish();
  std::mt19937 random(4);
  for (int i = 0; i < 20000; ++i) {
    Packet noise(random() % 200);
    for (auto& byte : noise) byte = static_cast<std::uint8_t>(random());
    if (noise.size() >= 4 && i % 2 == 0) {
      noise[0] = static_cast<std::uint8_t>(1 + random() % 4);
      noise[1] = noise[2] = noise[3] = 0;
      const std::size_t sizes[] = {0, kInitiationSize, kResponseSize, kCookieSize, 32 + random() % 128};
      noise.resize(sizes[noise[0]]);
    }
    CHECK_FALSE(is_good(net.inject(i % 3 == 0 ? net.a : net.b, noise, at("203.0.113.66", 666))));
  }
  CHECK(net.wire.empty());
  net.check_works();
  CHECK(net.b.device.counters().dh_operations < 10);  // mac1 keeps noise from costing any
}

TEST_CASE("wireguard attack: guessed indices") {
  Pair net;
  net.establish();
  const auto index = net.b.device.keypairs(net.peer_a).current->local_index();
  std::set<std::uint32_t> seen{index};
  for (std::uint32_t guess = 0; guess < 3000; ++guess) {
    Packet message(64);
    message[0] = 4;
    // Around the right one, and the right one itself.
    const auto wanted = index - 1500 + guess;
    for (std::size_t i = 0; i < 4; ++i) message[4 + i] = static_cast<std::uint8_t>(wanted >> 8 * i);
    message[8] = static_cast<std::uint8_t>(guess);
    CHECK(net.inject(net.b, message, net.a.place) ==
          (wanted == index ? Outcome::kForged : Outcome::kUnknownIndex));
  }
  net.check_works();
  // The next session's index is not near.
  net.advance(121s);
  net.check_works();
  const auto next = net.b.device.keypairs(net.peer_a).current->local_index();
  CHECK(next != index);
  CHECK(next - index > 1000U);
  CHECK(index - next > 1000U);
}

TEST_CASE("wireguard attack: a flood of initiations is answered with cookies, without DH work") {
  Pair net;
  net.establish();
  Flooder flooder(net.b.device.public_key());
  const auto before = net.b.device.counters().dh_operations;
  std::size_t cookies = 0;
  for (int i = 0; i < 5000; ++i) {
    net.move_clock(net.now + 100us);  // 10,000 a second, each from another address
    const auto from =
        at(("10." + std::to_string(i >> 8) + "." + std::to_string(i & 255) + ".1").c_str(), 1000);
    if (net.inject(net.b, flooder.initiation(net.now), from) == Outcome::kCookieAnswered) ++cookies;
  }
  CHECK(cookies > 4800);
  CHECK(net.b.device.counters().dh_operations - before < 150);
  for (const auto& [datagram, is_from_a] : net.wire) {
    CHECK(datagram.bytes.size() == 64);  // smaller than what it answers
    CHECK_FALSE(net.b.device.endpoint(datagram.peer));
  }
  net.wire.clear();
  // Established sessions do not notice.
  net.check_works();

  // A peer that is really there: its first initiation gets a cookie, the next one with it is answered.
  net.advance(200s);
  net.sent.clear();
  net.outcomes.clear();
  // As if the flood went on: busy again.
  for (int i = 0; i < 200; ++i) net.inject(net.b, flooder.initiation(net.now), at("10.0.0.1", 1000));
  net.wire.clear();
  net.outcomes.clear();
  net.a_sends();
  net.settle();
  CHECK(net.outcomes == std::vector{Outcome::kCookieAnswered, Outcome::kCookieTaken});
  for (int i = 0; i < 60; ++i) {  // the flood goes on
    net.advance(100ms);
    for (int j = 0; j < 100; ++j) {
      net.inject(net.b, flooder.initiation(net.now), at("10.0.0.1", 1000));
      net.wire.pop_back();
    }
  }
  CHECK(net.b.received.size() == 2);
  CHECK(net.b.device.counters().outcomes[static_cast<int>(Outcome::kHandshakeAnswered)] == 2);
  net.check_works();
}

TEST_CASE("wireguard attack: one address with a cookie gets its rate and no more") {
  Pair net;
  Flooder flooder(net.b.device.public_key());
  const auto from = at("203.0.113.5", 7);
  Outcome outcome{};
  for (int i = 0; i < 200; ++i) outcome = net.inject(net.b, flooder.initiation(net.now), from);
  REQUIRE(outcome == Outcome::kCookieAnswered);
  REQUIRE(flooder.take(net.wire.back().first.bytes, net.now));
  net.wire.clear();
  const auto before = net.b.device.counters().dh_operations;
  std::size_t refused = 0;
  for (int i = 0; i < 10000; ++i) {
    net.move_clock(net.now + 1ms);
    if (net.inject(net.b, flooder.initiation(net.now), from) == Outcome::kFlooding) ++refused;
  }
  CHECK(refused > 9700);
  CHECK(net.b.device.counters().dh_operations - before <= 206);  // 20 a second and a burst of 5
  CHECK(net.wire.empty());

  // The cookie is of use at that address and port only, and not for ever.
  CHECK(net.inject(net.b, flooder.initiation(net.now), at("203.0.113.6", 7)) == Outcome::kCookieAnswered);
  CHECK(net.inject(net.b, flooder.initiation(net.now), at("203.0.113.5", 8)) == Outcome::kCookieAnswered);
  net.move_clock(net.now + 121s);
  for (int i = 0; i < 200; ++i) outcome = net.inject(net.b, flooder.initiation(net.now), from);
  CHECK(outcome == Outcome::kCookieAnswered);
  net.wire.clear();
  net.move_clock(net.now + 2s);
  net.check_works();
}

TEST_CASE("wireguard attack: forged cookies spoil nothing") {
  Pair net;
  net.filter = [](const auto&, bool) { return false; };
  net.a_sends();
  REQUIRE(net.sent.size() == 1);
  const auto initiation = net.sent[0].bytes;
  Packet cookie(kCookieSize);
  cookie[0] = 3;
  std::copy_n(initiation.begin() + 4, 4, cookie.begin() + 4);
  CHECK(net.inject(net.a, cookie, net.b.place) == Outcome::kForged);
  // By someone else who knows the initiation: a cookie must be made with b's public key, which is no secret.
  // It costs a round trip, no more: b ignores a mac2 that it does not ask for.
  Crypto crypto;
  CookieChecker other(crypto, net.b.device.public_key());
  const auto random = [](std::span<std::uint8_t> bytes) {
    std::fill(bytes.begin(), bytes.end(), std::uint8_t{9});
  };
  std::uint32_t sender = 0;
  for (std::size_t i = 4; i-- > 0;) sender = sender << 8 | initiation[4 + i];
  other.reply(crypto, sender, Macs::read(initiation), net.a.place, net.now, random)
      .write(std::span<std::uint8_t, kCookieSize>(cookie));
  CHECK(net.inject(net.a, cookie, net.b.place) == Outcome::kCookieTaken);
  CHECK(net.inject(net.a, cookie, net.b.place) == Outcome::kForged);  // one for each initiation
  net.filter = nullptr;
  net.advance(6s);
  net.check_works();
}

TEST_CASE("wireguard attack: an initiation flood by a peer itself") {
  Pair net;
  net.filter = [](const auto&, bool) { return false; };
  // Its clock runs: each initiation has a newer timestamp.
  net.a_sends();
  net.advance(30s);
  REQUIRE(net.count(MessageType::kInitiation, true) == 6);
  std::vector<Packet> initiations;
  for (const auto& sent : net.sent) initiations.push_back(sent.bytes);
  std::vector<Outcome> outcomes;
  for (const auto& message : initiations) {
    net.move_clock(net.now + 10ms);
    outcomes.push_back(net.inject(net.b, message, net.a.place));
  }
  CHECK(outcomes == std::vector{Outcome::kHandshakeAnswered, Outcome::kFlooding, Outcome::kHandshakeAnswered,
                                Outcome::kFlooding, Outcome::kHandshakeAnswered, Outcome::kFlooding});
  net.filter = nullptr;
  net.advance(10s);
  net.check_works();
}

TEST_CASE("wireguard attack: inner addresses that are not the peer's") {
  Pair net;
  net.establish();
  for (const char* source : {"2001:db8::b", "2001:db8::c", "::1", "fe80::1"}) {
    net.send(net.a, ip_packet(source, "2001:db8::b"));
    net.settle();
    CHECK(net.outcomes.back() == Outcome::kForeignSource);
  }
  Packet v4(40);
  v4[0] = 0x45;
  v4[3] = 40;
  Actions actions;
  net.a.device.send_to(net.peer_b, v4, net.now, actions);
  net.handle(net.a, actions);
  net.settle();
  CHECK(net.outcomes.back() == Outcome::kForeignSource);
  CHECK(net.b.received.empty());
  net.check_works();
}

TEST_CASE("wireguard attack: what a peer sends need not be IP, nor as long as it says") {
  Pair net;
  net.establish();
  const auto sends = [&](const Packet& packet) {
    Actions actions;
    net.a.device.send_to(net.peer_b, packet, net.now, actions);
    net.handle(net.a, actions);
    net.settle();
    return net.outcomes.back();
  };
  CHECK(sends(Packet(1, 0)) == Outcome::kNotIp);
  CHECK(sends(Packet(1, 0x60)) == Outcome::kNotIp);
  CHECK(sends(Packet(1, 0x45)) == Outcome::kNotIp);
  CHECK(sends(Packet(100, 0xFF)) == Outcome::kNotIp);
  auto packet = ip_packet("2001:db8::a", "2001:db8::b", 100);
  packet[5] = 200;
  CHECK(sends(packet) == Outcome::kNotIp);
  packet[5] = 10;  // shorter than what came: the rest counts as padding
  CHECK(sends(packet) == Outcome::kData);
  CHECK(net.b.received.back().size() == 50);
  Packet v4(40);
  v4[0] = 0x45;
  v4[3] = 19;  // less than its header
  CHECK(sends(v4) == Outcome::kNotIp);
  net.check_works();
}

TEST_CASE("wireguard attack: responses that answer nothing, and to another's handshake") {
  Pair net;
  Node third(3, "192.0.2.3");
  const auto other = Pair::add(net.a, third, "2001:db8::c/128", nullptr, true);
  Pair::add(third, net.a, "2001:db8::a/128", nullptr, false);
  // a begins with both; b's response is sent to the handshake with the third.
  net.filter = [](const auto&, bool) { return false; };
  net.a_sends();
  net.send(net.a, ip_packet("2001:db8::a", "2001:db8::c"));
  REQUIRE(net.sent.size() == 2);
  const auto to_b = net.sent[0].bytes;
  const auto to_third = net.sent[1].bytes;
  Actions actions;
  auto copy = to_b;
  CHECK(net.b.device.input(copy, {net.a.place, {}}, net.now, actions) == Outcome::kHandshakeAnswered);
  auto response = actions.datagrams.at(0).bytes;
  auto misdirected = response;
  std::copy_n(to_third.begin() + 4, 4, misdirected.begin() + 8);
  CookieHolder holder;
  Crypto crypto;
  holder.write_macs(crypto, net.a.device.public_key(), misdirected, net.now);
  CHECK(net.inject(net.a, misdirected, net.b.place) == Outcome::kForged);
  CHECK_FALSE(net.a.device.status(other, net.now)->has_session);
  CHECK(net.inject(net.a, response, net.b.place) == Outcome::kSessionMade);
  CHECK(net.inject(net.a, response, net.b.place) == Outcome::kUnknownIndex);
  net.filter = nullptr;
  net.check_works();
}

TEST_CASE("wireguard attack: keys of low order in handshakes") {
  Pair net;
  net.filter = [](const auto&, bool) { return false; };
  net.a_sends();
  auto initiation = net.sent.at(0).bytes;
  std::fill_n(initiation.begin() + 8, 32, std::uint8_t{0});
  CookieHolder holder;
  Crypto crypto;
  holder.write_macs(crypto, net.b.device.public_key(), initiation, net.now);
  CHECK(net.inject(net.b, initiation, net.a.place) == Outcome::kForged);

  CHECK(net.inject(net.b, net.sent.at(0).bytes, net.a.place) == Outcome::kHandshakeAnswered);
  auto response = net.sent.at(1).bytes;
  std::fill_n(response.begin() + 12, 32, std::uint8_t{0});
  holder.write_macs(crypto, net.a.device.public_key(), response, net.now);
  CHECK(net.inject(net.a, response, net.b.place) == Outcome::kForged);
  CHECK(net.inject(net.a, net.sent.at(1).bytes, net.b.place) == Outcome::kSessionMade);
  net.filter = nullptr;
  net.check_works();
}

TEST_CASE("wireguard attack: counters at their end") {
  Pair net;
  net.establish();
  const auto keys = net.a.device.keypairs(net.peer_b).current;
  Sealer sealer;
  const auto packet = ip_packet("2001:db8::a", "2001:db8::b", 64);
  const auto message_with = [&](std::uint64_t counter) {
    Packet message(64 + kDataOverhead);
    const std::array<Bytes, 1> pieces{packet};
    REQUIRE(sealer.seal(*keys, counter, pieces, 64, message.data()) == message.size());
    return message;
  };
  CHECK(net.inject(net.b, message_with(UINT64_MAX), net.a.place) == Outcome::kReplayed);
  CHECK(net.inject(net.b, message_with(kRejectAfterMessages), net.a.place) == Outcome::kReplayed);
  net.check_works();
  CHECK(net.inject(net.b, message_with(kRejectAfterMessages - 1), net.a.place) == Outcome::kData);
  CHECK(net.inject(net.b, message_with(kRejectAfterMessages - 1), net.a.place) == Outcome::kReplayed);
  // Its own fault: all others are too old now. A new session helps.
  net.advance(30s);
  net.a_sends();
  net.settle();
  CHECK(net.outcomes.back() == Outcome::kReplayed);
  net.advance(16s);
  net.check_works();
}
