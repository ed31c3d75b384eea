// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/device.h"

#include <doctest/doctest.h>
#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include "src/wireguard/sealer.h"
#include "tests/unit/wireguard/devices.h"

using namespace sixlink::wireguard;
using namespace sixlink::wireguard::test;
using namespace std::chrono_literals;

TEST_CASE("wireguard: the first packet begins a handshake and arrives after it") {
  Pair net;
  CHECK(net.a_sends(100) == Outcome::kStaged);
  REQUIRE(net.sent.size() == 1);
  CHECK(net.sent[0].bytes.size() == 148);
  CHECK(net.sent[0].bytes[0] == 1);
  net.settle();
  CHECK(net.outcomes == std::vector{Outcome::kHandshakeAnswered, Outcome::kSessionMade, Outcome::kData});
  CHECK(net.sent[1].bytes.size() == 92);
  CHECK(net.sent[2].bytes.size() == 16 + 112 + 16);
  REQUIRE(net.b.received.size() == 1);
  CHECK(net.b.received[0] == ip_packet("2001:db8::a", "2001:db8::b", 100));
  CHECK(net.b_sends() == Outcome::kSent);
  net.settle();
  CHECK(net.a.received.size() == 1);
  net.check_works();
}

TEST_CASE("wireguard: many staged packets arrive in order, the oldest above 64 are dropped") {
  Pair net;
  for (std::size_t size = 100; size < 180; ++size) net.a_sends(size);
  CHECK(net.count(MessageType::kInitiation, true) == 1);
  net.settle();
  REQUIRE(net.b.received.size() == 64);
  for (std::size_t i = 0; i < 64; ++i) CHECK(net.b.received[i].size() == 116 + i);
}

TEST_CASE("wireguard: with a preshared key, which both must have") {
  Pair net({}, {}, true);
  net.establish();
  net.check_works();
  CHECK(net.a.device.status(net.peer_b, net.now)->has_preshared_key);

  // Only one of them has it: the response cannot be read.
  Node a(1, "192.0.2.1");
  Node b(2, "198.51.100.1");
  const auto preshared = a.make_key();
  Pair other;
  Actions actions;
  other.b.device.remove_peer(other.peer_a, actions);
  Pair::add(other.b, other.a, "2001:db8::a/128", &preshared, false);
  other.a_sends();
  other.settle();
  CHECK(other.outcomes == std::vector{Outcome::kHandshakeAnswered, Outcome::kForged});
}

TEST_CASE("wireguard: deterministic") {
  Pair first;
  Pair second;
  first.establish();
  second.establish();
  first.check_works();
  second.check_works();
  REQUIRE(first.sent.size() == second.sent.size());
  for (std::size_t i = 0; i < first.sent.size(); ++i) CHECK(first.sent[i].bytes == second.sent[i].bytes);
}

TEST_CASE("wireguard: padding to 16, not beyond the MTU") {
  CHECK(padded_size(0, 1420) == 0);
  CHECK(padded_size(1, 1420) == 16);
  CHECK(padded_size(16, 1420) == 16);
  CHECK(padded_size(1408, 1420) == 1408);
  CHECK(padded_size(1409, 1420) == 1420);
  CHECK(padded_size(1420, 1420) == 1420);
  CHECK(padded_size(1421, 1420) == 1421);
  CHECK(padded_size(1409, 0) == 1424);
  Pair net;
  net.establish();
  for (const std::size_t size : {40, 48, 49, 1405, 1420}) {
    net.sent.clear();
    net.b.received.clear();
    net.a_sends(size);
    CHECK(net.sent.at(0).bytes.size() == padded_size(size, 1420) + 32);
    net.settle();
    REQUIRE(net.b.received.size() == 1);
    CHECK(net.b.received[0].size() == size);
  }
  CHECK(net.send(net.a, ip_packet("2001:db8::a", "2001:db8::b", 65535)) == Outcome::kTooLong);
}

TEST_CASE("wireguard: a responder does not send before the initiator showed that it has the keys") {
  Pair net;
  net.a_sends();
  // The initiation arrives, the response is under way.
  auto initiation = net.wire.front().first.bytes;
  net.wire.clear();
  net.inject(net.b, initiation, net.a.place);
  CHECK(net.b_sends() == Outcome::kStaged);
  CHECK(net.count(MessageType::kData, false) == 0);
  // b began a handshake of its own then; both end well.
  net.settle();
  net.check_works();
}

TEST_CASE("wireguard: both begin at once") {
  Pair net;
  net.establish();
  Actions actions;
  net.advance(200s);
  net.wire.clear();
  net.sent.clear();
  net.a_sends();
  net.b_sends();
  CHECK(net.count(MessageType::kInitiation, true) == 1);
  CHECK(net.count(MessageType::kInitiation, false) == 1);
  net.settle();
  net.check_works();
  net.advance(119s);
  net.check_works();
}

TEST_CASE("wireguard: roaming: who sends an authenticated packet is answered where it came from") {
  Pair net;
  net.establish();
  net.a.place = at("203.0.113.77", 4000);
  net.a_sends();
  net.settle();
  net.sent.clear();
  net.b_sends();
  REQUIRE(net.sent.size() == 1);
  CHECK(net.sent[0].to.remote == at("203.0.113.77", 4000));
  CHECK(net.sent[0].to.local == net.b.place.address());
  CHECK(net.b.device.status(net.peer_a, net.now)->endpoint->remote == at("203.0.113.77", 4000));

  SUBCASE("the other side moves too, to another family") {
    net.settle();
    net.b.place = at("2001:db8:99::1", 5000);
    net.b_sends();
    net.settle();
    net.sent.clear();
    net.a_sends();
    CHECK(net.sent.at(0).to.remote == at("2001:db8:99::1", 5000));
  }
  SUBCASE("a copy from elsewhere moves nothing") {
    net.settle();
    net.a_sends();
    const auto copy = net.wire.front().first.bytes;
    net.settle();
    CHECK(net.inject(net.b, copy, at("203.0.113.200", 1)) == Outcome::kReplayed);
    auto changed = copy;
    changed[40] ^= 1;
    CHECK(net.inject(net.b, changed, at("203.0.113.200", 1)) != Outcome::kData);
    net.sent.clear();
    net.b_sends();
    CHECK(net.sent.at(0).to.remote == at("203.0.113.77", 4000));
  }
}

TEST_CASE("wireguard: many peers on one device, found by their indices") {
  Node server(1, "198.51.100.1");
  std::vector<std::unique_ptr<Node>> clients;
  const TimePoint now{1000h};
  for (unsigned i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<Node>(100 + i, ("192.0.2." + std::to_string(i + 1)).c_str()));
    const auto inner = "2001:db8::" + std::to_string(i + 1);
    Pair::add(server, *clients[i], (inner + "/128").c_str(), nullptr, false);
    Pair::add(*clients[i], server, "::/0", nullptr, true);
  }
  CHECK(server.device.peer_count() == 50);
  const auto deliver = [&](Node& to, const Node& from, Actions& actions) {
    Actions answers;
    for (auto& datagram : actions.datagrams) to.device.input(datagram.bytes, {from.place, {}}, now, answers);
    return answers;
  };
  // Interleaved: all initiations, then all responses, then all data.
  std::vector<Actions> stage(50);
  for (unsigned i = 0; i < 50; ++i) {
    const auto inner = "2001:db8::" + std::to_string(i + 1);
    CHECK(clients[i]->device.send(ip_packet(inner.c_str(), "2001:db8:1::1", 100 + i), now, stage[i]) ==
          Outcome::kStaged);
  }
  for (unsigned i = 0; i < 50; ++i) stage[i] = deliver(server, *clients[i], stage[i]);
  for (unsigned i = 0; i < 50; ++i) stage[i] = deliver(*clients[i], server, stage[i]);
  for (unsigned i = 0; i < 50; ++i) {
    const auto answer = deliver(server, *clients[i], stage[i]);
    REQUIRE(answer.packets.size() == 1);
    CHECK(answer.packets[0].bytes.size() == 100 + i);
    CHECK(server.device.status(answer.packets[0].peer, now)->public_key == clients[i]->device.public_key());
  }
  for (unsigned i = 0; i < 50; ++i) {
    Actions actions;
    const auto inner = "2001:db8::" + std::to_string(i + 1);
    CHECK(server.device.send(ip_packet("2001:db8:1::1", inner.c_str()), now, actions) == Outcome::kSent);
    CHECK(actions.datagrams.at(0).to.remote == clients[i]->place);
    CHECK(deliver(*clients[i], server, actions).packets.size() == 1);
  }
}

TEST_CASE("wireguard: peers that are refused") {
  Pair net;
  Actions actions;
  const auto add = [&](const PublicKey& key) {
    PeerConfig config;
    config.public_key = key;
    return net.a.device.add_peer(std::move(config), net.now, actions);
  };
  CHECK(add(net.a.device.public_key()).error() == Error::kOwnKey);
  CHECK(add(net.b.device.public_key()).error() == Error::kPeerExists);
  CHECK(add(PublicKey{}).error() == Error::kUselessKey);
  CHECK(add(PublicKey{1}).error() == Error::kUselessKey);
  CHECK_THROWS(add(PublicKey{}).value());
  CHECK(std::string(explain(Error::kUselessKey)).find("low order") != std::string::npos);
  Node few(9, "192.0.2.9", Settings{.most_peers = 1, .random = {}, .wall_clock = {}});
  Pair::add(few, net.a, "2001:db8::a/128", nullptr, false);
  PeerConfig second;
  second.public_key = net.b.device.public_key();
  CHECK(few.device.add_peer(std::move(second), net.now, actions).error() == Error::kTooManyPeers);
}

TEST_CASE("wireguard: a removed peer is gone, and its id is no one else's") {
  Pair net;
  net.establish();
  const auto old_id = net.peer_a;
  const std::weak_ptr<Keypair> keys = net.b.device.keypairs(old_id).current;
  CHECK_FALSE(keys.expired());
  Actions actions;
  net.b.device.remove_peer(old_id, actions);
  REQUIRE(actions.changes.size() == 1);
  CHECK(actions.changes[0].keys);
  CHECK(keys.expired());
  CHECK(net.b.device.peer_count() == 0);
  CHECK(net.b.device.allowed_ips().empty());
  CHECK_FALSE(net.b.device.keypairs(old_id).current);
  CHECK_FALSE(net.b.device.activity(old_id));
  CHECK_FALSE(net.b.device.status(old_id, net.now));
  CHECK(net.b.device.deadline() == TimePoint::max());
  CHECK(net.b_sends() == Outcome::kNoRoute);
  net.a_sends();
  net.settle();
  CHECK(net.outcomes.back() == Outcome::kUnknownIndex);
  // Its handshakes are no one's.
  net.move_clock(net.now + 200s);
  net.a_sends();
  net.settle();
  CHECK(net.outcomes.back() == Outcome::kUnknownPeer);

  const auto new_id = Pair::add(net.b, net.a, "2001:db8::a/128", nullptr, false);
  CHECK(new_id.slot == old_id.slot);
  CHECK(new_id != old_id);
  net.b.device.remove_peer(old_id, actions);
  net.b.device.wake(old_id, net.now, actions);
  net.b.device.roamed(old_id, {at("203.0.113.1", 1), {}}, actions);
  CHECK(net.b.device.peer_count() == 1);
  CHECK_FALSE(net.b.device.endpoint(new_id));
}

TEST_CASE("wireguard: allowed IPs move between peers, and go with theirs") {
  Pair net;
  Node third(3, "192.0.2.3");
  Pair::add(net.b, third, "2001:db8::c/128", nullptr, false);
  const auto other = *net.b.device.find_peer(third.device.public_key());
  net.b.device.add_allowed_ip(other, prefix("2001:db8::a/128"));
  CHECK(net.b.device.status(net.peer_a, net.now)->allowed_ips.empty());
  CHECK(net.b.device.status(other, net.now)->allowed_ips.size() == 2);
  net.a_sends();
  net.settle();
  CHECK(net.outcomes.back() == Outcome::kForeignSource);
  net.b.device.add_allowed_ip(net.peer_a, prefix("2001:db8::a/128"));
  net.a_sends();
  net.settle();
  CHECK(net.outcomes.back() == Outcome::kData);
  net.b.device.remove_allowed_ip(net.peer_a, prefix("2001:db8::a/128"));
  net.a_sends();
  net.settle();
  CHECK(net.outcomes.back() == Outcome::kForeignSource);
  CHECK(net.b.device.allowed_ips().size() == 1);
}

TEST_CASE("wireguard: nowhere to send") {
  Pair net;
  CHECK(net.b_sends() == Outcome::kNoEndpoint);
  CHECK(net.send(net.a, ip_packet("2001:db8::a", "2001:db8::99")) == Outcome::kNoRoute);
  CHECK(net.send(net.a, Packet(5, 0x60)) == Outcome::kNoRoute);
  CHECK(net.sent.empty());
  Actions actions;
  net.b.device.set_endpoint(net.peer_a, net.a.place, actions);
  CHECK(actions.changes.at(0).endpoint);
  CHECK(net.b_sends() == Outcome::kStaged);
  net.settle();
  CHECK(net.a.received.size() == 1);
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
TEST_CASE("wireguard: a peer with two full sessions takes less than 4 KiB") {
  Node server(1, "198.51.100.1");
  constexpr unsigned kPeers = 300;
  TimePoint now{1000h};
  const auto before = mallinfo2().uordblks;
  for (unsigned i = 0; i < kPeers; ++i) {
    Node client(100 + i, "192.0.2.1");
    const auto inner = "2001:db8::" + std::to_string(i + 1);
    Pair::add(server, client, (inner + "/128").c_str(), nullptr, false);
    Pair::add(client, server, "::/0", nullptr, true);
    const auto packet = ip_packet(inner.c_str(), "2001:db8:1::1");
    for (int session = 0; session < 2; ++session) {
      Actions actions;
      client.device.send(packet, now, actions);
      for (int message = 0; message < 70; ++message) {
        for (int hop = 0; hop < 3 && !actions.datagrams.empty(); ++hop) {
          Actions answers;
          auto& target = hop == 1 ? client : server;
          for (auto& datagram : actions.datagrams)
            target.device.input(datagram.bytes, {(hop == 1 ? server : client).place, {}}, now, answers);
          actions = std::move(answers);
        }
        actions.clear();
        client.device.send(packet, now, actions);
      }
      now += 121s;
      client.wall += 121s;
    }
    const auto keys = server.device.keypairs(*server.device.find_peer(client.device.public_key()));
    REQUIRE(keys.current);
    REQUIRE(keys.previous);
  }
  const auto each = (mallinfo2().uordblks - before) / kPeers;
  MESSAGE("bytes a peer: ", each);
  CHECK(each < 4096);
  CHECK(each > 1000);  // or it was not measured
}
#endif

TEST_CASE("wireguard: status tells of handshakes and transfer") {
  Pair net;
  auto status = *net.a.device.status(net.peer_b, net.now);
  CHECK_FALSE(status.latest_handshake);
  CHECK_FALSE(status.has_session);
  CHECK(status.endpoint->remote == net.b.place);
  net.a_sends(100);
  net.settle();
  status = *net.a.device.status(net.peer_b, net.now);
  CHECK(status.latest_handshake == net.a.wall);
  CHECK(status.has_session);
  CHECK(status.bytes_sent == 148 + 144);
  CHECK(status.bytes_received == 92);
  const auto theirs = *net.b.device.status(net.peer_a, net.now);
  CHECK(theirs.bytes_received == 148 + 144);
  CHECK(theirs.bytes_sent == 92);
  CHECK(theirs.latest_handshake == net.b.wall);
  CHECK(net.a.changes.back().is_reachable);
  CHECK(net.b.device.counters()[Outcome::kData] == 1);
  CHECK(net.a.device.counters().initiations_sent == 1);
}

TEST_CASE("wireguard: datapath threads work beside the device with its keys") {
  Pair net;
  net.establish();
  // What a lane at a has.
  const auto keys = net.a.device.keypairs(net.peer_b);
  const auto activity = net.a.device.activity(net.peer_b);
  Sealer sealer;
  Opener opener;
  const auto packet = ip_packet("2001:db8::a", "2001:db8::b", 1001);
  const auto first = keys.current->reserve(3).value();
  for (std::uint64_t i = 0; i < 3; ++i) {
    Packet message(padded_size(packet.size(), 1420) + kDataOverhead);
    const std::array<Bytes, 3> pieces{Bytes(packet).first(41), Bytes(), Bytes(packet).subspan(41)};
    REQUIRE(sealer.seal(*keys.current, first + i, pieces, padded_size(packet.size(), 1420), message.data()) ==
            message.size());
    CHECK(net.inject(net.b, message, net.a.place) == Outcome::kData);
  }
  CHECK(net.b.received.size() == 3);
  CHECK(net.b.received.back() == packet);
  // The device goes on with the counters.
  net.check_works();

  // What a lane at a receives, after all has been quiet.
  net.advance(30s);
  net.b_sends(500);
  auto message = net.wire.front().first.bytes;
  net.wire.clear();
  const auto header = DataHeader::parse(message);
  REQUIRE(header);
  CHECK(header->receiver == keys.current->local_index());
  const auto opened = opener.open(*keys.current, message);
  REQUIRE(opened);
  CHECK(without_padding(*opened)->size() == 500);
  {
    Keypair::Window window(*keys.current);
    CHECK(window.accept(header->counter));
    CHECK_FALSE(window.accept(header->counter));
  }
  // The device knows: 10 seconds later it owes a keepalive.
  CHECK(activity->received(net.now, 1, message.size()));
  CHECK_FALSE(activity->received(net.now, 1, message.size()));
  Actions actions;
  net.a.device.wake(net.peer_b, net.now, actions);
  CHECK(actions.empty());
  CHECK(net.a.device.deadline() == net.now + 10s);
  net.sent.clear();
  net.advance(10s);
  CHECK(net.count(MessageType::kData, true) == 1);
}

TEST_CASE("wireguard: a lane at the responder confirms a session, and the device adopts it") {
  Pair net;
  net.a_sends();
  net.inject(net.b, net.wire.front().first.bytes, net.a.place);
  net.wire.pop_front();
  CHECK_FALSE(net.b.device.keypairs(net.peer_a).current);
  const auto next = net.b.device.keypairs(net.peer_a).next;
  REQUIRE(next);
  net.inject(net.a, net.wire.front().first.bytes, net.b.place);
  net.wire.pop_front();
  auto message = net.wire.front().first.bytes;  // for b's lane
  net.wire.clear();
  Opener opener;
  REQUIRE(opener.open(*next, message));
  CHECK(next->confirm());
  CHECK_FALSE(next->confirm());
  CHECK(net.b_sends() == Outcome::kStaged);
  Actions actions;
  net.sent.clear();
  net.b.device.wake(net.peer_a, net.now, actions);
  CHECK(net.b.device.keypairs(net.peer_a).current == next);
  CHECK(actions.changes.at(0).keys);
  CHECK(actions.changes.at(0).is_reachable);
  net.handle(net.b, actions);
  net.settle();
  CHECK(net.a.received.size() == 1);  // what was staged
}

TEST_CASE("wireguard: a lane asks for a rekey once, while the session goes on") {
  Pair net;
  net.establish();
  const auto keys = net.a.device.keypairs(net.peer_b).current;
  const auto activity = net.a.device.activity(net.peer_b);
  net.advance(119s);
  CHECK_FALSE(keys->wants_rekey(net.now));
  net.advance(1s);
  CHECK(keys->wants_rekey(net.now));
  CHECK(activity->ask_for_handshake());
  CHECK_FALSE(activity->ask_for_handshake());
  net.sent.clear();
  net.filter = [](const auto&, bool) { return false; };
  Actions actions;
  net.a.device.wake(net.peer_b, net.now, actions);
  net.handle(net.a, actions);
  CHECK(net.count(MessageType::kInitiation, true) == 1);
  CHECK_FALSE(activity->ask_for_handshake());  // it is under way
  net.filter = nullptr;
  net.advance(6s);
  CHECK(net.count(MessageType::kInitiation, true) == 2);
  CHECK(net.a.device.keypairs(net.peer_b).current != keys);
  CHECK(net.a.device.keypairs(net.peer_b).previous == keys);
  CHECK(activity->ask_for_handshake());  // of the new session; nothing to do, the device sees
  net.sent.clear();
  net.advance(6s);
  actions.clear();
  net.a.device.wake(net.peer_b, net.now, actions);
  CHECK(actions.empty());
  CHECK(activity->ask_for_handshake());
}
