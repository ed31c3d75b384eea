// SPDX-License-Identifier: BSD-3-Clause
// Whitepaper section 6, row by row, under a clock that the test moves.
#include <doctest/doctest.h>

#include <set>

#include "tests/unit/wireguard/devices.h"

using namespace sixlink::wireguard;
using namespace sixlink::wireguard::test;
using namespace std::chrono_literals;

namespace {

const Pair::Filter kAllLost = [](const Actions::Datagram&, bool) { return false; };

std::vector<TimePoint::duration> times(const Pair& net, MessageType type, bool is_from_a, TimePoint since) {
  std::vector<TimePoint::duration> result;
  for (const auto& sent : net.sent) {
    if (sent.type == type && sent.is_from_a == is_from_a) result.push_back(sent.when - since);
  }
  return result;
}

}  // namespace

TEST_CASE(
    "wireguard timers: REKEY_AFTER_TIME: the initiator makes a new session when it sends after 120 seconds") {
  Pair net;
  net.establish();
  const auto old = net.a.device.keypairs(net.peer_b).current;
  net.advance(119s);
  net.a_sends();
  net.settle();
  CHECK(net.count(MessageType::kInitiation, true) == 0);
  net.advance(1s);
  net.sent.clear();
  net.a_sends();
  CHECK(net.sent.at(0).type == MessageType::kData);  // with the old keys, at once
  CHECK(net.count(MessageType::kInitiation, true) == 1);
  net.settle();
  const auto keys = net.a.device.keypairs(net.peer_b);
  CHECK(keys.current != old);
  CHECK(keys.previous == old);
  CHECK(net.b.device.keypairs(net.peer_a).previous->local_index() == old->remote_index());
  net.check_works();
  CHECK(net.count(MessageType::kInitiation, true) == 1);
}

TEST_CASE("wireguard timers: the responder leaves the rekey to the initiator") {
  Pair net;
  net.establish();
  net.advance(150s);
  net.sent.clear();
  net.b_sends();
  net.settle();
  CHECK(net.count(MessageType::kInitiation, false) == 0);
  CHECK(net.count(MessageType::kInitiation, true) == 0);
  CHECK(net.a.received.size() == 1);
}

TEST_CASE(
    "wireguard timers: who only receives makes a new session 15 seconds before the old one ends, once") {
  Pair net;
  net.establish();
  const auto start = net.now;
  net.advance(164s);
  net.b_sends();
  net.settle();
  CHECK(net.count(MessageType::kInitiation, true) == 0);
  net.advance(1s);
  net.sent.clear();
  net.filter = [](const auto&, bool is_from_a) { return !is_from_a; };
  net.b_sends();
  net.settle();
  CHECK(times(net, MessageType::kInitiation, true, start) == std::vector<TimePoint::duration>{165s});
  net.b_sends();
  net.settle();
  CHECK(net.count(MessageType::kInitiation, true) == 1);
}

TEST_CASE(
    "wireguard timers: REJECT_AFTER_TIME: nothing is sent or received with keys that are 180 seconds old") {
  Pair net;
  net.establish();
  net.advance(179s);
  net.filter = kAllLost;
  net.b_sends();
  net.b_sends();
  REQUIRE(net.sent.back().type == MessageType::kData);
  const auto in_time = net.sent[net.sent.size() - 2].bytes;
  const auto late = net.sent.back().bytes;
  CHECK(net.inject(net.a, in_time, net.b.place) == Outcome::kData);
  net.advance(1s);
  CHECK(net.inject(net.a, late, net.b.place) == Outcome::kExpired);
  net.sent.clear();
  CHECK(net.b_sends() == Outcome::kStaged);
  CHECK(net.count(MessageType::kData, false) == 0);
  CHECK(net.a_sends() == Outcome::kStaged);
  CHECK(net.count(MessageType::kData, true) == 0);
  net.filter = nullptr;
  net.advance(6s);
  net.check_works();
}

TEST_CASE("wireguard timers: REKEY_AFTER_MESSAGES and REJECT_AFTER_MESSAGES") {
  Pair net;
  net.establish();
  const auto keys = net.a.device.keypairs(net.peer_b).current;
  net.advance(10s);
  net.sent.clear();
  keys->set_messages_sent(kRekeyAfterMessages - 1);
  net.a_sends();
  net.settle();
  CHECK(net.count(MessageType::kInitiation, true) == 0);
  net.a_sends();
  net.a_sends();
  CHECK(net.count(MessageType::kInitiation, true) == 1);
  net.settle();
  net.check_works();

  net.advance(10s);
  const auto last = net.a.device.keypairs(net.peer_b).current;
  CHECK(last != keys);
  last->set_messages_sent(kRejectAfterMessages - 1);
  net.sent.clear();
  net.filter = kAllLost;
  CHECK(net.a_sends() == Outcome::kSent);
  CHECK(net.a_sends() == Outcome::kStaged);
  CHECK(net.a_sends() == Outcome::kStaged);
  CHECK(net.count(MessageType::kData, true) == 1);
  CHECK(last->messages_sent() == kRejectAfterMessages);
  CHECK_FALSE(last->reserve(1));
  CHECK(last->messages_sent() == kRejectAfterMessages);  // never wraps
  net.filter = nullptr;
  net.advance(6s);
  net.check_works();
}

TEST_CASE("wireguard timers: the responder too makes a new session after REKEY_AFTER_MESSAGES") {
  Pair net;
  net.establish();
  net.advance(10s);
  net.sent.clear();
  net.b.device.keypairs(net.peer_a).current->set_messages_sent(kRekeyAfterMessages + 1);
  net.b_sends();
  CHECK(net.count(MessageType::kInitiation, false) == 1);
  net.settle();
  net.check_works();
}

TEST_CASE(
    "wireguard timers: REKEY_TIMEOUT and REKEY_ATTEMPT_TIME: every 5 seconds and a jitter, for 90 seconds") {
  Pair net;
  net.filter = kAllLost;
  const auto start = net.now;
  net.a_sends();
  net.advance(300s);
  const auto attempts = times(net, MessageType::kInitiation, true, start);
  REQUIRE(attempts.size() >= 17);
  CHECK(attempts.size() <= 18);
  CHECK(attempts[0] == 0s);
  std::set<TimePoint::duration> gaps;
  for (std::size_t i = 1; i < attempts.size(); ++i) {
    const auto gap = attempts[i] - attempts[i - 1];
    CHECK(gap >= 5s);
    CHECK(gap <= 5s + kLongestJitter);
    gaps.insert(gap);
  }
  CHECK(gaps.size() > 5);
  CHECK(attempts.back() < 90s);
  REQUIRE_FALSE(net.a.changes.empty());
  CHECK(net.a.changes.back().is_unreachable);
  CHECK(net.a.device.deadline() == TimePoint::max());
  // Each is another message: ephemeral key, index and timestamp.
  std::set<Packet> messages;
  for (const auto& sent : net.sent) messages.insert(sent.bytes);
  CHECK(messages.size() == net.sent.size());

  // Not for good: traffic begins anew.
  net.filter = nullptr;
  net.a_sends(222);
  net.settle();
  REQUIRE(net.b.received.size() == 1);  // what waited for the attempts in vain is not sent late
  CHECK(net.b.received[0].size() == 222);
  CHECK(net.a.changes.back().is_reachable);
  net.check_works();
}

TEST_CASE("wireguard timers: traffic starts the 90 seconds again, and only once says that the peer is away") {
  Pair net;
  net.filter = kAllLost;
  for (int i = 0; i < 30; ++i) {
    net.a_sends();
    net.advance(10s);
  }
  CHECK(net.count(MessageType::kInitiation, true) > 50);
  CHECK(std::count_if(net.a.changes.begin(), net.a.changes.end(),
                      [](const auto& c) { return c.is_unreachable; }) == 1);
  net.filter = nullptr;
  net.advance(6s);
  CHECK(net.b.received.size() == 30);
  net.check_works();
}

TEST_CASE(
    "wireguard timers: KEEPALIVE_TIMEOUT: who received and has nothing to say sends a keepalive after 10 s") {
  Pair net;
  net.establish();
  net.advance(30s);
  net.sent.clear();
  const auto start = net.now;
  net.a_sends();
  net.settle();
  net.advance(60s);
  CHECK(times(net, MessageType::kData, false, start) == std::vector<TimePoint::duration>{10s});
  CHECK(net.sent.back().bytes.size() == 32);
  CHECK(net.outcomes.back() == Outcome::kKeepalive);
  // A keepalive is not answered.
  CHECK(net.sent.size() == 2);
}

TEST_CASE("wireguard timers: who answers sends no keepalive") {
  Pair net;
  net.establish();
  net.advance(30s);
  net.sent.clear();
  net.a_sends();
  net.settle();
  net.advance(9s);
  net.b_sends();
  net.settle();
  net.advance(9s);
  CHECK(net.sent.size() == 2);
  net.advance(1s);
  CHECK(net.sent.size() == 3);
  CHECK(net.sent.back().is_from_a);
  CHECK(net.sent.back().bytes.size() == 32);
}

TEST_CASE("wireguard timers: data without any answer for 15 seconds begins a handshake") {
  Pair net;
  net.establish();
  net.advance(30s);
  net.sent.clear();
  const auto start = net.now;
  net.filter = kAllLost;
  net.a_sends();
  net.advance(14s);
  net.a_sends();  // does not put it off
  net.advance(2s);
  const auto when = times(net, MessageType::kInitiation, true, start);
  REQUIRE(when.size() == 1);
  CHECK(when[0] >= 15s);
  CHECK(when[0] <= 15s + kLongestJitter);
  net.filter = nullptr;
  net.advance(10s);
  net.check_works();
}

TEST_CASE("wireguard timers: any answer, a keepalive as well, is enough") {
  Pair net;
  net.establish();
  net.sent.clear();
  for (int i = 0; i < 20; ++i) {
    net.a_sends();
    net.settle();
    net.advance(5s);
  }
  CHECK(net.count(MessageType::kInitiation, true) == 0);
  CHECK(net.count(MessageType::kData, false) > 5);
}

TEST_CASE(
    "wireguard timers: a peer that restarted without its keys is found again by 15 seconds of silence") {
  Pair net;
  net.establish();
  net.advance(30s);
  Actions actions;
  net.b.device.remove_peer(net.peer_a, actions);
  net.peer_a = Pair::add(net.b, net.a, "2001:db8::a/128", nullptr, false);
  net.a_sends();
  net.settle();
  CHECK(net.outcomes.back() == Outcome::kUnknownIndex);
  net.advance(16s);
  net.check_works();
}

TEST_CASE("wireguard timers: persistent keepalive, from the moment it is set, and none earlier than needed") {
  Pair net;
  Actions actions;
  const auto start = net.now;
  net.a.device.set_persistent_keepalive(net.peer_b, 25s, net.now, actions);
  net.handle(net.a, actions);
  net.settle();
  CHECK(net.count(MessageType::kInitiation, true) == 1);
  CHECK(times(net, MessageType::kData, true, start) == std::vector<TimePoint::duration>{0s});
  net.advance(80s);
  CHECK(times(net, MessageType::kData, true, start) == std::vector<TimePoint::duration>{0s, 25s, 50s, 75s});
  net.a_sends();  // at 80 s
  net.settle();
  net.sent.clear();
  net.advance(26s);
  // b answers the data with a keepalive of its own at 90 s; the next one is due 25 s after that.
  CHECK(times(net, MessageType::kData, false, start) == std::vector<TimePoint::duration>{90s});
  CHECK(net.count(MessageType::kData, true) == 0);
  net.advance(9s);
  CHECK(times(net, MessageType::kData, true, start) == std::vector<TimePoint::duration>{115s});
  net.a.device.set_persistent_keepalive(net.peer_b, 0s, net.now, actions);
  net.sent.clear();
  net.advance(100s);
  CHECK(net.sent.empty());
}

TEST_CASE("wireguard timers: persistent keepalive keeps a session through rekeys") {
  Pair net;
  Actions actions;
  net.a.device.set_persistent_keepalive(net.peer_b, 25s, net.now, actions);
  net.handle(net.a, actions);
  net.settle();
  net.advance(3600s);
  CHECK(net.count(MessageType::kInitiation, true) >= 24);
  CHECK(net.count(MessageType::kInitiation, true) <= 30);
  CHECK(net.a.device.status(net.peer_b, net.now)->has_session);
  CHECK(net.b.device.status(net.peer_a, net.now)->has_session);
}

TEST_CASE("wireguard timers: with persistent keepalive it tries again after each 90 seconds in vain") {
  Pair net;
  Actions actions;
  net.filter = kAllLost;
  net.a.device.set_persistent_keepalive(net.peer_b, 25s, net.now, actions);
  net.handle(net.a, actions);
  net.advance(600s);
  CHECK(net.count(MessageType::kInitiation, true) > 70);
  net.filter = nullptr;
  net.advance(31s);
  net.check_works();
}

TEST_CASE("wireguard timers: keys go when no new session was made for three REJECT_AFTER_TIME") {
  Pair net;
  net.establish();
  const std::weak_ptr<Keypair> keys = net.a.device.keypairs(net.peer_b).current;
  net.a.changes.clear();
  net.advance(539s);
  CHECK_FALSE(keys.expired());
  net.advance(1s);
  CHECK(keys.expired());
  CHECK_FALSE(net.a.device.keypairs(net.peer_b).current);
  CHECK(net.a.changes.back().keys);
  CHECK(net.a.device.deadline() == TimePoint::max());
  net.check_works();
}

TEST_CASE("wireguard timers: connect() begins at once, at most every REKEY_TIMEOUT") {
  Pair net;
  net.filter = kAllLost;
  Actions actions;
  for (int i = 0; i < 10; ++i) net.a.device.connect(net.peer_b, net.now, actions);
  CHECK(actions.datagrams.size() == 1);
  net.handle(net.a, actions);
  net.filter = nullptr;
  net.advance(6s);
  CHECK(net.a.device.status(net.peer_b, net.now)->has_session);
  // Just after a session was made: not now, but as soon as may be.
  actions.clear();
  net.a.device.connect(net.peer_b, net.now, actions);
  CHECK(actions.empty());
  net.sent.clear();
  net.advance(6s);
  CHECK(net.count(MessageType::kInitiation, true) == 1);
  net.check_works();
}

TEST_CASE("wireguard timers: a response that was lost costs one retransmission") {
  Pair net;
  bool is_lost = false;
  net.filter = [&](const Actions::Datagram& datagram, bool) {
    if (datagram.bytes[0] != 2 || is_lost) return true;
    is_lost = true;
    return false;
  };
  net.a_sends();
  net.settle();
  CHECK(net.b.received.empty());
  net.advance(6s);
  CHECK(net.b.received.size() == 1);
  net.check_works();
}

TEST_CASE("wireguard timers: half of all messages lost, an hour long: it always comes back") {
  Pair net;
  std::mt19937 random(5);
  net.filter = [&](const Actions::Datagram&, bool) { return random() % 2 == 0; };
  std::size_t arrived = 0;
  for (int i = 0; i < 3600; ++i) {
    net.a_sends();
    net.settle();
    net.b_sends();
    net.settle();
    net.advance(1s);
    arrived += net.a.received.size() + net.b.received.size();
    net.a.received.clear();
    net.b.received.clear();
  }
  CHECK(arrived > 3000);
  net.filter = nullptr;
  net.advance(20s);
  net.check_works();
}
