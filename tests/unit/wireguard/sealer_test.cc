// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/sealer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

#include "src/wireguard/crypto.h"
#include "tests/unit/wireguard/hex.h"

using namespace sixlink::wireguard;
using namespace sixlink::wireguard::test;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kStart{1000h};

SecretKey key_of(std::uint8_t value) {
  SecretKey key;
  for (auto& byte : key.writable()) byte = value;
  return key;
}

// Both ends of a session.
struct Session {
  explicit Session(std::uint8_t seed)
      : ours(key_of(seed), key_of(static_cast<std::uint8_t>(seed + 1)), 0x01020304, 0x0a0b0c0d,
             Keypair::Role::kInitiator, kStart),
        theirs(key_of(static_cast<std::uint8_t>(seed + 1)), key_of(seed), 0x0a0b0c0d, 0x01020304,
               Keypair::Role::kResponder, kStart) {}
  Keypair ours;
  Keypair theirs;
};

std::vector<std::uint8_t> bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> result(size);
  for (auto& byte : result) byte = static_cast<std::uint8_t>(random());
  return result;
}

std::vector<std::uint8_t> sealed(Sealer& sealer, const Keypair& keypair, std::uint64_t counter, Bytes packet,
                                 std::size_t padded) {
  std::vector<std::uint8_t> message(padded + kDataOverhead, 0xEE);
  std::copy(packet.begin(), packet.end(), message.begin() + kDataHeaderSize);
  CHECK(sealer.seal(keypair, counter, message.data(), packet.size(), padded) == message.size());
  return message;
}

}  // namespace

TEST_CASE("sealer: a message as on the wire, the same as the handshake's AEAD makes") {
  Session session(1);
  Sealer sealer;
  const auto packet = bytes(100, 1);
  const auto message = sealed(sealer, session.ours, 0x1122334455667788, packet, 112);
  CHECK(to_hex(Bytes(message).first(16)) == "040000000d0c0b0a8877665544332211");
  auto padded = packet;
  padded.resize(112);
  std::vector<std::uint8_t> expected(128);
  Crypto().seal(key_of(1), 0x1122334455667788, {}, padded, expected);
  CHECK(to_hex(Bytes(message).subspan(16)) == to_hex(expected));
}

TEST_CASE("sealer: every size, in place and in pieces, and back") {
  Session session(3);
  Sealer sealer;
  Opener opener;
  std::uint64_t counter = 0;
  for (std::size_t size = 0; size <= 300; ++size) {
    const auto packet = bytes(size, static_cast<unsigned>(size));
    const auto padded = padded_size(size, 0);
    const auto in_place = sealed(sealer, session.ours, counter, packet, padded);
    std::vector<std::uint8_t> in_pieces(in_place.size(), 0x55);
    const std::array<Bytes, 4> pieces{Bytes(packet).first(size / 3), Bytes(),
                                      Bytes(packet).subspan(size / 3, size / 5),
                                      Bytes(packet).subspan(size / 3 + size / 5)};
    REQUIRE(sealer.seal(session.ours, counter, pieces, padded, in_pieces.data()) == in_pieces.size());
    REQUIRE(in_pieces == in_place);
    const auto opened = opener.open(session.theirs, in_pieces);
    REQUIRE(opened);
    REQUIRE(opened->size() == padded);
    REQUIRE(std::equal(packet.begin(), packet.end(), opened->begin()));
    REQUIRE(std::all_of(opened->begin() + static_cast<long>(size), opened->end(),
                        [](auto byte) { return byte == 0; }));
    ++counter;
  }
}

TEST_CASE("sealer: every size is what OpenSSL's AEAD makes of it, padded or not") {
  Session session(7);
  Sealer sealer;
  Opener opener;
  Crypto crypto;
  for (std::size_t size = 0; size <= 1600; ++size) {
    const auto packet = bytes(size, static_cast<unsigned>(size));
    auto message = sealed(sealer, session.ours, size * 0x0123456789ab, packet, size);
    std::vector<std::uint8_t> expected(size + kTagSize);
    crypto.seal(key_of(7), size * 0x0123456789ab, {}, packet, expected);
    REQUIRE(std::equal(expected.begin(), expected.end(), message.begin() + kDataHeaderSize, message.end()));
    const auto opened = opener.open(session.theirs, message);
    REQUIRE(opened);
    REQUIRE(std::equal(packet.begin(), packet.end(), opened->begin(), opened->end()));
  }
}

TEST_CASE("sealer: keys change with the keypair, in any order, and after forget()") {
  Session sessions[3] = {Session(10), Session(20), Session(30)};
  Sealer sealer;
  Opener opener;
  std::mt19937 random(9);
  for (std::uint64_t i = 0; i < 2000; ++i) {
    auto& session = sessions[random() % 3];
    const bool is_back = random() % 2 == 0;
    const auto& from = is_back ? session.theirs : session.ours;
    const auto& to = is_back ? session.ours : session.theirs;
    const auto packet = bytes(random() % 100, static_cast<unsigned>(i));
    auto message = sealed(sealer, from, i, packet, padded_size(packet.size(), 1420));
    if (random() % 7 == 0) sealer.forget();
    if (random() % 7 == 0) opener.forget();
    if (random() % 3 == 0) {  // the wrong key first
      auto copy = message;
      CHECK_FALSE(opener.open(from, copy));
    }
    const auto opened = opener.open(to, message);
    REQUIRE(opened);
    REQUIRE(std::equal(packet.begin(), packet.end(), opened->begin()));
  }
}

TEST_CASE("sealer: what is no data message, is cut or is changed is not opened; the next one is") {
  Session session(5);
  Sealer sealer;
  Opener opener;
  const auto message = sealed(sealer, session.ours, 7, bytes(64, 1), 64);
  for (std::size_t size = 0; size < message.size(); ++size) {
    auto cut = message;
    cut.resize(size);
    CHECK_FALSE(opener.open(session.theirs, cut));
  }
  for (std::size_t i = 0; i < message.size(); ++i) {
    if (i >= 4 && i < 8) continue;  // the receiver index is found out before
    auto changed = message;
    changed[i] ^= 1;
    CHECK_FALSE(opener.open(session.theirs, changed));
    auto good = message;
    CHECK(opener.open(session.theirs, good));
  }
}

TEST_CASE("sealer: padding is taken off by what the packet says of its length") {
  std::vector<std::uint8_t> packet(96);
  packet[0] = 0x60;
  packet[5] = 50;
  CHECK(without_padding(packet)->size() == 90);
  packet[5] = 56;
  CHECK(without_padding(packet)->size() == 96);
  packet[5] = 57;
  CHECK_FALSE(without_padding(packet));
  packet[0] = 0x45;
  packet[2] = 0;
  packet[3] = 20;
  CHECK(without_padding(packet)->size() == 20);
  packet[3] = 19;
  CHECK_FALSE(without_padding(packet));
  packet[3] = 96;
  CHECK(without_padding(packet)->size() == 96);
  packet[3] = 97;
  CHECK_FALSE(without_padding(packet));
  packet[0] = 0x10;
  CHECK_FALSE(without_padding(packet));
  CHECK_FALSE(without_padding({}));
  for (std::size_t size = 1; size < 20; ++size) {
    packet[0] = 0x45;
    packet[3] = static_cast<std::uint8_t>(size);
    CHECK_FALSE(without_padding(std::span(packet).first(size)));
  }
}

TEST_CASE("keypair: ages") {
  Session session(1);
  CHECK(session.ours.may_send(kStart + 179s));
  CHECK_FALSE(session.ours.may_send(kStart + 180s));
  CHECK(session.ours.may_receive(kStart + 179s));
  CHECK_FALSE(session.ours.may_receive(kStart + 180s));
  CHECK_FALSE(session.ours.wants_rekey(kStart + 119s));
  CHECK(session.ours.wants_rekey(kStart + 120s));
  CHECK_FALSE(session.theirs.wants_rekey(kStart + 179s));
  CHECK_FALSE(session.ours.wants_rekey_on_receipt(kStart + 164s));
  CHECK(session.ours.wants_rekey_on_receipt(kStart + 165s));
  CHECK_FALSE(session.theirs.wants_rekey_on_receipt(kStart + 179s));
  CHECK(session.ours.serial() != session.theirs.serial());
}

TEST_CASE("keypair: counters of several threads are all different") {
  Session session(1);
  std::vector<std::vector<std::uint64_t>> taken(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : taken) {
      threads.emplace_back([&session, &mine] {
        for (int i = 0; i < 2000; ++i) mine.push_back(session.ours.reserve(3).value());
      });
    }
  }
  std::vector<std::uint64_t> all;
  for (const auto& mine : taken) {
    CHECK(std::is_sorted(mine.begin(), mine.end()));
    all.insert(all.end(), mine.begin(), mine.end());
  }
  std::sort(all.begin(), all.end());
  REQUIRE(all.size() == 8000);
  for (std::size_t i = 0; i < all.size(); ++i) REQUIRE(all[i] == 3 * i);
}

TEST_CASE("keypair: reservations near the end are refused, and leave the rest to others") {
  Session session(1);
  session.ours.set_messages_sent(kRejectAfterMessages - 10);
  CHECK_FALSE(session.ours.reserve(11));
  CHECK(session.ours.reserve(4) == kRejectAfterMessages - 10);
  CHECK(session.ours.may_send(kStart));
  CHECK_FALSE(session.ours.reserve(UINT64_MAX));
  CHECK(session.ours.reserve(6) == kRejectAfterMessages - 6);
  CHECK_FALSE(session.ours.may_send(kStart));
  CHECK_FALSE(session.ours.reserve(1));
  CHECK_FALSE(session.ours.reserve(1));
}

TEST_CASE("keypair: the responder's is confirmed once; who could not say so is asked again") {
  Session session(1);
  CHECK_FALSE(session.ours.confirm());
  CHECK(session.ours.is_confirmed());
  CHECK_FALSE(session.theirs.is_confirmed());
  CHECK(session.theirs.confirm());
  CHECK_FALSE(session.theirs.confirm());
  session.theirs.confirm_failed();
  CHECK(session.theirs.confirm());
}
