// SPDX-License-Identifier: BSD-3-Clause
// The parts of handshakes by themselves: messages, timestamps, keys as text, Noise, cookies, load.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "src/wireguard/activity.h"
#include "src/wireguard/cookie.h"
#include "src/wireguard/deadline_queue.h"
#include "src/wireguard/handshake_load.h"
#include "src/wireguard/keys.h"
#include "src/wireguard/noise.h"
#include "src/wireguard/timestamp.h"
#include "tests/unit/wireguard/hex.h"

using namespace sixlink::wireguard;
using namespace sixlink::wireguard::test;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kStart{1000h};

boost::asio::ip::udp::endpoint at(const char* address, std::uint16_t port) {
  return {boost::asio::ip::make_address(address), port};
}

}  // namespace

TEST_CASE("wireguard messages: fields stand where the whitepaper has them") {
  std::array<std::uint8_t, kInitiationSize> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  const auto initiation = Initiation::read(bytes);
  CHECK(initiation.sender == 0x07060504);
  CHECK(initiation.ephemeral[0] == 8);
  CHECK(initiation.sealed_static[0] == 40);
  CHECK(initiation.sealed_timestamp[0] == 88);
  CHECK(Macs::read(bytes).mac1[0] == 116);
  CHECK(Macs::read(bytes).mac2[0] == 132);
  CHECK(before_mac1(bytes).size() == 116);
  CHECK(before_mac2(bytes).size() == 132);
  std::array<std::uint8_t, kInitiationSize> copy{};
  initiation.write(copy);
  Macs::read(bytes).write(copy);
  CHECK(to_hex(copy).substr(0, 8) == "01000000");
  CHECK(to_hex(copy).substr(8) == to_hex(bytes).substr(8));

  const auto response = Response::read(std::span(bytes).first<kResponseSize>());
  CHECK(response.sender == 0x07060504);
  CHECK(response.receiver == 0x0b0a0908);
  CHECK(response.ephemeral[0] == 12);
  CHECK(response.sealed_nothing[0] == 44);
  std::array<std::uint8_t, kResponseSize> other{};
  response.write(other);
  CHECK(to_hex(other).substr(0, 120) == "02000000" + to_hex(bytes).substr(8, 112));

  const auto cookie = CookieReply::read(std::span(bytes).first<kCookieSize>());
  CHECK(cookie.receiver == 0x07060504);
  CHECK(cookie.nonce[0] == 8);
  CHECK(cookie.sealed_cookie[0] == 32);
  std::array<std::uint8_t, kCookieSize> third{};
  cookie.write(third);
  CHECK(to_hex(third) == "03000000" + to_hex(bytes).substr(8, 120));
}

TEST_CASE("wireguard messages: a type has its size and zeros behind it") {
  const auto of = [](std::uint8_t type, std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    if (size > 0) bytes[0] = type;
    return bytes;
  };
  CHECK(classify(of(1, 148)) == MessageType::kInitiation);
  CHECK(classify(of(2, 92)) == MessageType::kResponse);
  CHECK(classify(of(3, 64)) == MessageType::kCookie);
  CHECK(classify(of(4, 32)) == MessageType::kData);
  CHECK(classify(of(4, 9000)) == MessageType::kData);
  for (std::size_t size = 0; size < 200; ++size) {
    CHECK(classify(of(1, size)).has_value() == (size == 148));
    CHECK(classify(of(2, size)).has_value() == (size == 92));
    CHECK(classify(of(3, size)).has_value() == (size == 64));
    CHECK(classify(of(4, size)).has_value() == (size >= 32));
    CHECK_FALSE(classify(of(0, size)));
    CHECK_FALSE(classify(of(5, size)));
  }
  auto reserved = of(4, 32);
  reserved[2] = 1;
  CHECK_FALSE(classify(reserved));
  CHECK(is_wireguard(of(1, 148)));
  CHECK_FALSE(is_wireguard(of(0x60, 148)));
  CHECK_FALSE(is_wireguard(of(0xF0, 148)));
}

TEST_CASE("wireguard timestamps: TAI64N, always greater, no finer than 16.8 ms") {
  TimestampClock clock;
  const std::chrono::system_clock::time_point wall{std::chrono::seconds(1'700'000'000)};
  const auto first = clock.next(wall);
  CHECK(to_hex(first).substr(0, 16) == "400000006553f10a");  // 1,700,000,000 + 10
  auto last = first;
  for (int i = 0; i < 100; ++i) {
    const auto next = clock.next(wall);  // the clock stands still
    CHECK(next > last);
    last = next;
  }
  CHECK(clock.next(wall - 1h) > last);
  const auto later = clock.next(wall + 1h);
  CHECK(clock.next(wall) > later);
  TimestampClock other;
  CHECK(other.next(wall + 1ms) == first);
  CHECK(TimestampClock().next(wall + 17ms) > first);
  CHECK(TimestampClock().next(std::chrono::system_clock::time_point(-5h)) < first);
}

TEST_CASE("wireguard keys: base64 as `wg` writes it") {
  // wg genkey | tee /dev/stderr | wg pubkey
  const auto secret = parse_secret_key("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=");
  REQUIRE(secret);
  CHECK(to_hex(secret->reveal()) == "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  CHECK(to_base64(*secret).reveal() == "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=");
  CHECK(to_base64(public_key_of(*secret)) == "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
  CHECK(parse_public_key("hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=") == public_key_of(*secret));
  for (const char* wrong :
       {"", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTm==",
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmp=", " SDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=",
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo==", "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo=",
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo\n", "=SDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_public_key(wrong));
    CHECK_FALSE(parse_secret_key(wrong));
  }
  // Every byte value in every place.
  std::mt19937 random(64);
  for (int i = 0; i < 2000; ++i) {
    PublicKey key{};
    for (auto& byte : key) byte = static_cast<std::uint8_t>(random());
    REQUIRE(parse_public_key(to_base64(key)) == key);
  }
  const auto made = generate_private_key();
  CHECK((made.reveal()[0] & 7) == 0);
  CHECK((made.reveal()[31] & 0xC0) == 0x40);
  CHECK_FALSE(generate_preshared_key().is_zero());
}

TEST_CASE("wireguard keys: a moved key leaves nothing behind") {
  auto first = key_from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  auto second = std::move(first);
  CHECK(first.is_zero());  // NOLINT(bugprone-use-after-move): that is the promise
  CHECK_FALSE(second.is_zero());
  SecretKey third;
  third = std::move(second);
  CHECK(second.is_zero());  // NOLINT(bugprone-use-after-move)
  auto copy = third.duplicate();
  third.wipe();
  CHECK(third.is_zero());
  CHECK(copy.reveal()[0] == 0x77);
}

TEST_CASE("wireguard noise: both sides come to the same keys, and a wrong step to none") {
  Crypto crypto;
  const auto identity = [&](std::uint8_t seed) {
    SecretKey key;
    for (auto& byte : key.writable()) byte = seed++;
    Identity made{std::move(key), {}};
    made.public_key = crypto.public_key(made.private_key);
    return made;
  };
  const auto a = identity(1);
  const auto b = identity(101);
  const auto ephemeral_a = identity(51).private_key.duplicate();
  const auto ephemeral_b = identity(151).private_key.duplicate();
  const auto shared = crypto.dh(a.private_key, b.public_key);
  const SecretKey none;
  const auto preshared = key_from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const NoisePeer peer_b{b.public_key, preshared, *shared};
  const NoisePeer peer_a{a.public_key, preshared, *shared};
  const Timestamp timestamp{1, 2, 3};

  Initiation initiation;
  const auto initiator =
      InitiatorHandshake::start(crypto, a, peer_b, timestamp, ephemeral_a.duplicate(), initiation);
  REQUIRE(initiator);
  CHECK_FALSE(ResponderHandshake::receive(crypto, a, initiation));  // not for its own maker
  auto responder = ResponderHandshake::receive(crypto, b, initiation);
  REQUIRE(responder);
  CHECK(responder->public_key() == a.public_key);
  CHECK(responder->authenticate(crypto, peer_a, initiation) == timestamp);
  Response response;
  const auto theirs = responder->respond(crypto, peer_a, ephemeral_b.duplicate(), response);
  REQUIRE(theirs);
  auto forged = response;
  forged.sealed_nothing[3] ^= 4;
  CHECK_FALSE(initiator->finish(crypto, a, peer_b, forged));
  const NoisePeer without_preshared{b.public_key, none, *shared};
  CHECK_FALSE(initiator->finish(crypto, a, without_preshared, response));
  const auto ours = initiator->finish(crypto, a, peer_b, response);
  REQUIRE(ours);
  CHECK(to_hex(ours->send.reveal()) == to_hex(theirs->receive.reveal()));
  CHECK(to_hex(ours->receive.reveal()) == to_hex(theirs->send.reveal()));
  CHECK(to_hex(ours->send.reveal()) != to_hex(ours->receive.reveal()));

  // Someone who knows all public keys, but not a's private one, cannot speak as a.
  const auto other = identity(201);
  const auto others_shared = crypto.dh(other.private_key, b.public_key);
  const Identity impostor{other.private_key.duplicate(), a.public_key};
  const NoisePeer impostors_b{b.public_key, preshared, *others_shared};
  Initiation false_initiation;
  REQUIRE(InitiatorHandshake::start(crypto, impostor, impostors_b, timestamp, ephemeral_a.duplicate(),
                                    false_initiation));
  auto victim = ResponderHandshake::receive(crypto, b, false_initiation);
  REQUIRE(victim);
  CHECK(victim->public_key() == a.public_key);
  CHECK_FALSE(victim->authenticate(crypto, peer_a, false_initiation));
}

TEST_CASE("wireguard cookies: mac2 is right with the cookie, at one address, for two minutes") {
  Crypto crypto;
  std::mt19937 generator(3);
  const auto random = [&](std::span<std::uint8_t> bytes) {
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(generator());
  };
  const auto server =
      crypto.public_key(key_from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
  CookieChecker checker(crypto, server);
  CookieHolder holder;
  std::vector<std::uint8_t> message(kInitiationSize);
  message[0] = 1;
  message[4] = 42;
  holder.write_macs(crypto, server, message, kStart);
  auto macs = Macs::read(message);
  CHECK(checker.is_mac1_right(crypto, message, macs));
  CHECK(macs.mac2 == Mac{});
  const auto from = at("192.0.2.1", 1000);
  CHECK_FALSE(checker.is_mac2_right(crypto, message, macs, from, kStart, random));
  const auto reply = checker.reply(crypto, 42, macs, from, kStart, random);
  CHECK(reply.receiver == 42);
  auto forged = reply;
  forged.sealed_cookie[0] ^= 1;
  CHECK_FALSE(holder.take(crypto, server, forged, kStart));
  CHECK(holder.take(crypto, server, reply, kStart));
  CHECK_FALSE(holder.take(crypto, server, reply, kStart));

  holder.write_macs(crypto, server, message, kStart + 10s);
  macs = Macs::read(message);
  CHECK(checker.is_mac1_right(crypto, message, macs));
  CHECK(checker.is_mac2_right(crypto, message, macs, from, kStart + 10s, random));
  CHECK_FALSE(checker.is_mac2_right(crypto, message, macs, at("192.0.2.2", 1000), kStart + 10s, random));
  CHECK_FALSE(checker.is_mac2_right(crypto, message, macs, at("192.0.2.1", 1001), kStart + 10s, random));
  CHECK_FALSE(checker.is_mac2_right(crypto, message, macs, at("2001:db8::1", 1000), kStart + 10s, random));
  CHECK(checker.is_mac2_right(crypto, message, macs, from, kStart + 119s, random));
  CHECK_FALSE(checker.is_mac2_right(crypto, message, macs, from, kStart + 120s, random));
  message[50] ^= 1;
  CHECK_FALSE(checker.is_mac1_right(crypto, message, macs));
  holder.write_macs(crypto, server, message, kStart + 115s);  // too old to be of use
  CHECK(Macs::read(message).mac2 == Mac{});
  CHECK_FALSE(CookieChecker(crypto, PublicKey{9}).is_mac1_right(crypto, message, Macs::read(message)));
}

TEST_CASE("wireguard load: busy above the rate, and for a second after") {
  LoadMeter meter(80);
  auto now = kStart;
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(meter.add(now));
    now += 13ms;  // 77 a second
  }
  bool is_busy = false;
  for (int i = 0; i < 40; ++i) is_busy = meter.add(now);
  CHECK(is_busy);
  CHECK(meter.is_busy(now + 999ms));
  CHECK_FALSE(meter.is_busy(now + 1s));
  CHECK_FALSE(meter.add(now + 2s));
}

TEST_CASE("wireguard load: each address, or IPv6 /64, has its rate") {
  Crypto crypto;
  SourceLimiter limiter(generate_preshared_key());
  const auto a = boost::asio::ip::make_address("192.0.2.1");
  unsigned allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += limiter.allow(crypto, a, kStart) ? 1 : 0;
  CHECK(allowed == SourceLimiter::kBurst);
  CHECK(limiter.allow(crypto, boost::asio::ip::make_address("192.0.2.2"), kStart));
  allowed = 0;
  for (int i = 0; i < 1000; ++i) allowed += limiter.allow(crypto, a, kStart + 1ms * (i + 1)) ? 1 : 0;
  CHECK(allowed >= 19);
  CHECK(allowed <= 21);
  allowed = 0;
  for (int i = 0; i < 100; ++i)
    allowed +=
        limiter.allow(crypto, boost::asio::ip::make_address("2001:db8::" + std::to_string(i + 1)), kStart)
            ? 1
            : 0;
  CHECK(allowed == SourceLimiter::kBurst);
  CHECK(limiter.allow(crypto, boost::asio::ip::make_address("2001:db8:0:1::1"), kStart));
  // Any number of addresses: the table does not grow, and takes the one that was quiet longest.
  for (int i = 0; i < 20000; ++i) {
    const auto address = boost::asio::ip::address_v4(static_cast<std::uint32_t>(0x0a000000 + i));
    CHECK(limiter.allow(crypto, address, kStart + 2s));
  }
}

TEST_CASE("wireguard deadlines: agree with a list that is searched") {
  DeadlineQueue queue;
  std::vector<TimePoint> list(50, TimePoint::max());
  std::mt19937 random(12);
  CHECK(queue.next() == TimePoint::max());
  for (int i = 0; i < 20000; ++i) {
    const auto slot = static_cast<std::uint32_t>(random() % list.size());
    list[slot] = random() % 4 == 0 ? TimePoint::max() : kStart + std::chrono::seconds(random() % 1000);
    queue.set(slot, list[slot]);
    const auto least = *std::min_element(list.begin(), list.end());
    REQUIRE(queue.next() == least);
    if (least != TimePoint::max()) REQUIRE(list[queue.slot()] == least);
  }
}

TEST_CASE("wireguard activity: asks once until it was looked after") {
  Activity activity;
  CHECK(activity.sent(kStart, 1, 100));
  CHECK_FALSE(activity.sent(kStart + 1s, 1, 100));
  CHECK(activity.reply_awaited_since() == kStart.time_since_epoch().count());
  CHECK_FALSE(activity.received(kStart + 2s, 1, 100));  // armed already
  CHECK(activity.reply_awaited_since() == Activity::kNever);
  CHECK(Activity::time_of(activity.keepalive_owed_since()) == kStart + 2s);
  CHECK_FALSE(activity.sent(kStart + 3s, 0, 32));  // a keepalive
  CHECK(activity.keepalive_owed_since() == Activity::kNever);
  CHECK(activity.reply_awaited_since() == Activity::kNever);
  activity.set_armed(false);
  CHECK_FALSE(activity.received(kStart + 4s, 0, 32));
  CHECK(activity.keepalive_owed_since() == Activity::kNever);
  CHECK(activity.received(kStart + 5s, 2, 300));
  CHECK(activity.ask_for_handshake());
  CHECK_FALSE(activity.ask_for_handshake());
  activity.wake_failed();
  CHECK(activity.ask_for_handshake());
  CHECK(activity.sent(kStart + 6s, 1, 100));
  CHECK(activity.bytes_sent() == 332);
  CHECK(activity.bytes_received() == 432);
  CHECK(activity.packets_sent() == 3);
  CHECK(activity.packets_received() == 3);
}
