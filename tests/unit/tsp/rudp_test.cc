// SPDX-License-Identifier: BSD-3-Clause
#include "src/tsp/rudp.h"

#include <doctest/doctest.h>

#include "tests/unit/tsp/recorded_tunnel.h"

using namespace sixlink::tsp;
using namespace sixlink::tsp::test;
using namespace std::chrono_literals;
using Kind = RudpClient::Event::Kind;
using Disposition = RudpServerPeer::Disposition;

namespace {

const TimePoint kStart{std::chrono::hours(1000)};

std::vector<std::uint8_t> reply_to(const std::vector<std::uint8_t>& datagram, std::string_view text) {
  return make_rudp(parse_rudp(datagram)->header, text);
}

// Lets the client wait without an answer; the times of its retransmissions and, last, of giving up, since
// `from`.
std::vector<std::chrono::milliseconds> wait_in_vain(RudpClient& client, TimePoint from) {
  std::vector<std::chrono::milliseconds> times;
  for (int i = 0; i < 100; ++i) {
    const auto now = client.deadline();
    REQUIRE(now != TimePoint::max());
    CHECK(client.tick(now - 1ms).kind == Kind::kNothing);
    const auto event = client.tick(now);
    times.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(now - from));
    if (event.kind == Kind::kTimeout) break;
    REQUIRE(event.kind == Kind::kRetransmit);
  }
  CHECK(client.deadline() == TimePoint::max());
  CHECK_FALSE(client.is_waiting());
  return times;
}

}  // namespace

TEST_CASE("rudp: header as on the wire") {
  const auto datagram = make_rudp({0xF00000F0, 0x384}, "VERSION=2.0.2\r\n");
  CHECK(text_of(datagram) == load_recording("anonymous-rudp").at(0).at(0).bytes);
  const auto message = parse_rudp(datagram);
  REQUIRE(message);
  CHECK(message->header.sequence == 0xF00000F0);
  CHECK(message->header.timestamp == 0x384);
  CHECK(message->text == "VERSION=2.0.2\r\n");
}

TEST_CASE("rudp: the first nibble tells control from packets, and runts are neither") {
  for (unsigned nibble = 0; nibble < 16; ++nibble) {
    std::vector<std::uint8_t> datagram(40, 0);
    datagram[0] = static_cast<std::uint8_t>(nibble << 4 | 5);
    CHECK(is_rudp(datagram) == (nibble == 15));
  }
  for (std::size_t size = 0; size < 8; ++size) CHECK_FALSE(parse_rudp(std::vector<std::uint8_t>(size, 0xFF)));
  CHECK(parse_rudp(std::vector<std::uint8_t>(8, 0xFF))->text.empty());
}

TEST_CASE("rudp: every DATA datagram of the recordings is a packet, every other one control") {
  for (const auto& name : recording_names()) {
    for (const auto& session : load_recording(name)) {
      for (const auto& entry : session) {
        if (entry.kind != RecordedEntry::Kind::kTcp)
          CHECK(is_rudp(bytes_of(entry.bytes)) == (entry.kind == RecordedEntry::Kind::kRudp));
      }
    }
  }
}

TEST_CASE("rudp: a server that never answers gets three sends and is given up after 6 s") {
  RudpClient client(kStart);
  client.send("VERSION=2.0.2\r\n", kStart);
  CHECK(wait_in_vain(client, kStart) == std::vector<std::chrono::milliseconds>{1000ms, 3000ms, 6000ms});
}

TEST_CASE("rudp: a server that answered before is given up after 66 s") {
  RudpClient client(kStart);
  const auto first = client.send("VERSION=2.0.2\r\n", kStart);
  REQUIRE(client.input(reply_to(first, "x"), kStart + 20ms).kind == Kind::kReply);
  const auto from = kStart + 1s;
  client.send("AUTHENTICATE ANONYMOUS\r\n", from);
  CHECK(wait_in_vain(client, from) ==
        std::vector<std::chrono::milliseconds>{1000ms, 3000ms, 7000ms, 15000ms, 31000ms, 61000ms, 66000ms});
}

TEST_CASE("rudp: a retransmission keeps the sequence and the text and has a new timestamp") {
  RudpClient client(kStart);
  const auto first = client.send("VERSION=2.0.2\r\n", kStart + 5ms);
  const auto event = client.tick(kStart + 1005ms);
  REQUIRE(event.kind == Kind::kRetransmit);
  const auto original = *parse_rudp(first);
  const auto copy = *parse_rudp(event.datagram);
  CHECK(copy.header.sequence == original.header.sequence);
  CHECK(copy.text == original.text);
  CHECK(original.header.timestamp == 5);
  CHECK(copy.header.timestamp == 1005);
}

TEST_CASE("rudp: sequence numbers begin at F00000F0 and grow by one a message, also for the empty one") {
  RudpClient client(kStart);
  for (std::uint32_t i = 0; i < 20; ++i) {
    const auto datagram = client.send(i % 2 == 0 ? "x" : "", kStart);
    CHECK(parse_rudp(datagram)->header.sequence == 0xF00000F0 + i);
    CHECK(client.input(reply_to(datagram, ""), kStart).kind == Kind::kReply);
  }
  CHECK(client.messages_sent() == 20);
}

TEST_CASE("rudp: sequence numbers wrap below the high nibble, which stays") {
  RudpClient client(kStart, 0xFFFFFFFE);
  for (const std::uint32_t expected : {0xFFFFFFFEU, 0xFFFFFFFFU, 0xF0000000U, 0xF0000001U}) {
    const auto datagram = client.send("x", kStart);
    CHECK(parse_rudp(datagram)->header.sequence == expected);
    CHECK(client.input(reply_to(datagram, ""), kStart).kind == Kind::kReply);
  }
}

TEST_CASE("rudp: late duplicates, strangers' sequences and runts are ignored") {
  RudpClient client(kStart);
  const auto first = client.send("one", kStart);
  const auto reply = reply_to(first, "first reply");
  CHECK(client.input(reply, kStart + 10ms).text == "first reply");
  CHECK(client.input(reply, kStart + 11ms).kind == Kind::kNothing);  // nothing outstanding
  const auto second = client.send("two", kStart + 20ms);
  const auto deadline = client.deadline();
  CHECK(client.input(reply, kStart + 30ms).kind == Kind::kNothing);
  CHECK(client.input(make_rudp({0xF0000000, 0}, "forged"), kStart + 30ms).kind == Kind::kNothing);
  CHECK(client.input(bytes_of("\x60packet of the tunnel"), kStart + 30ms).kind == Kind::kNothing);
  CHECK(client.input(Bytes(second).first(7), kStart + 30ms).kind == Kind::kNothing);
  CHECK(client.input(Bytes(), kStart + 30ms).kind == Kind::kNothing);
  CHECK(client.is_waiting());
  CHECK(client.deadline() == deadline);
  CHECK(client.input(reply_to(second, "second reply"), kStart + 40ms).text == "second reply");
}

TEST_CASE("rudp: the round-trip time is estimated with 1/8 and 1/4 and governs retransmission") {
  RudpClient client(kStart);
  auto now = kStart;
  const auto exchange = [&](std::chrono::milliseconds rtt) {
    const auto datagram = client.send("x", now);
    now += rtt;
    REQUIRE(client.input(reply_to(datagram, "y"), now).kind == Kind::kReply);
  };
  exchange(800ms);
  CHECK(client.smoothed_rtt() == 800ms);
  exchange(1600ms);
  CHECK(client.smoothed_rtt() == 900ms);  // 7/8 * 800 + 1/8 * 1600
  // RTTVAR: 400, then 3/4 * 400 + 1/4 * 800 = 500; RTO = 900 + 4 * 500.
  client.send("x", now);
  CHECK(client.deadline() == now + 2900ms);
}

TEST_CASE("rudp: the echoed timestamp tells which copy was answered") {
  RudpClient client(kStart);
  client.send("x", kStart);
  const auto copy = client.tick(kStart + 1s);
  REQUIRE(client.input(reply_to(copy.datagram, "y"), kStart + 1050ms).kind == Kind::kReply);
  CHECK(client.smoothed_rtt() == 50ms);
}

TEST_CASE("rudp: a forged timestamp does not spoil the estimate") {
  for (const std::uint32_t timestamp : {0x7FFFFFFFU, 0xFFFFFFFFU, 1000000U}) {
    RudpClient client(kStart);
    const auto datagram = client.send("x", kStart);
    CHECK(client.input(make_rudp({parse_rudp(datagram)->header.sequence, timestamp}, "y"), kStart + 10ms)
              .kind == Kind::kReply);
    CHECK(client.smoothed_rtt() <= 66s);
    client.send("x", kStart + 20ms);
    CHECK(client.deadline() <= kStart + 31s);
  }
}

TEST_CASE("rudp: retransmission never waits more than 30 s, whatever was measured") {
  RudpClient client(kStart);
  auto datagram = client.send("x", kStart);
  client.input(reply_to(datagram, "y"), kStart + 5s);
  datagram = client.send("x", kStart + 5s);
  client.input(reply_to(datagram, "y"), kStart + 65s);
  client.send("x", kStart + 70s);
  CHECK(client.deadline() == kStart + 100s);
}

TEST_CASE("rudp server: classification of sequences") {
  RudpServerPeer peer;
  CHECK(peer.classify(0xF00000F0) == Disposition::kNew);
  CHECK(peer.classify(0xFFFFFFFF) == Disposition::kNew);
  peer.begin(0xF00000F1);
  CHECK(peer.classify(0xF00000F1) == Disposition::kPending);
  peer.answered("reply");
  CHECK(peer.classify(0xF00000F1) == Disposition::kRepeated);
  CHECK(peer.last_reply() == "reply");
  CHECK(peer.sequence() == 0xF00000F1);
  CHECK(peer.classify(0xF00000F2) == Disposition::kNew);
  CHECK(peer.classify(0xF0001000) == Disposition::kNew);
  CHECK(peer.classify(0xF00000F0) == Disposition::kStale);
  CHECK(peer.classify(0xF0000000) == Disposition::kStale);
}

TEST_CASE("rudp server: sequences wrap below the marking nibble") {
  RudpServerPeer peer;
  peer.begin(0xFFFFFFFF);
  peer.answered("");
  CHECK(peer.classify(0xF0000000) == Disposition::kNew);
  CHECK(peer.classify(0xF00000F0) == Disposition::kNew);
  CHECK(peer.classify(0xFFFFFFFE) == Disposition::kStale);
  peer.begin(0xF0000000);
  peer.answered("");
  CHECK(peer.classify(0xFFFFFFFF) == Disposition::kStale);
}

TEST_CASE("rudp server: a message that is being handled hides the reply before it") {
  RudpServerPeer peer;
  peer.begin(0xF00000F0);
  peer.answered("first");
  peer.begin(0xF00000F1);
  CHECK(peer.classify(0xF00000F1) == Disposition::kPending);
  CHECK(peer.classify(0xF00000F0) == Disposition::kStale);
  peer.answered("second");
  CHECK(peer.last_reply() == "second");
}
