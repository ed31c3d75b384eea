// SPDX-License-Identifier: BSD-3-Clause
// Mode wireguard in the registry, from the store to what a client is told.
#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include "registry/broker/granter.h"
#include "tests/unit/net/ipv4_packet.h"
#include "tests/unit/net/ipv6_packet.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::registry;
using boost::asio::ip::make_address;
using boost::asio::ip::make_address_v4;
using sixlink::test::v6;

namespace {

constexpr WallSeconds kNow = 1700000000;

pki::WireguardKey key(char fill) {
  return *pki::WireguardKey::from_bytes(std::string(32, fill));
}

LeasePolicy policy(const char* prefix_v4 = "203.0.113.0/29") {
  LeasePolicy made;
  made.prefix = *net::Prefix::parse("2001:db8:42::/48");
  if (prefix_v4) made.prefix_v4 = net::PrefixV4::parse(prefix_v4);
  return made;
}

Store open(const std::string& path = ":memory:") {
  auto store = Store::open(path, std::chrono::milliseconds(0));
  REQUIRE(store.has_value());
  for (const char* name : {"alice", "bob"}) (void)store->add_user({name, "sixlink", std::string(16, 'x'), 1});
  return *std::move(store);
}

LeaseBook load(Store& store, const LeasePolicy& with = policy()) {
  auto book = LeaseBook::load(store, with);
  REQUIRE(book.has_value());
  return *std::move(book);
}

LeaseRequest request(const std::string& user, char fill, LeaseMode mode = LeaseMode::kWireguard) {
  LeaseRequest made{user, mode, make_address("192.0.2.1"), 0, 0, {}};
  if (mode == LeaseMode::kWireguard) made.wireguard_key = key(fill);
  return made;
}

struct Fixture {
  boost::asio::io_context io;
  Config settings = sample();
  Store store = open();
  LeaseBook book = load(store, settings.leases);
  TunnelServer tunnels{{settings.leases.prefix, v6("2001:db8:42::1"), 1280}};
  Granter granter{io.get_executor(), settings, book, tunnels};
  WallSeconds now = kNow;

  static Config sample() {
    Config made;
    made.leases = policy();
    return made;
  }
  Fixture() {
    tsp::WireguardServer told;
    told.key = key('s');
    granter.set_wireguard(told);
  }
  static Requester from(const std::string& user = {}, const char* peer = "192.0.2.1") {
    return {user, tsp::Transport::kRudp, make_address(peer), 4000, make_address("198.51.100.1")};
  }
  Granter::Answer ask(char fill, const Requester& who = from(), bool is_router = false) {
    tsp::CreateRequest create;
    create.mode = tsp::Mode::kWireguard;
    create.client_address = make_address("192.168.1.2");
    create.wireguard_key = key(fill);
    create.is_router = is_router;
    create.keepalive_interval = std::chrono::seconds(30);
    std::optional<Granter::Answer> answer;
    granter.request(create, who, now, [&](Granter::Answer given) { answer = std::move(given); });
    io.restart();
    io.poll();
    REQUIRE(answer);
    return *std::move(answer);
  }
  tsp::TunnelInfo granted(char fill, const Requester& who = from(), bool is_router = false) {
    auto answer = ask(fill, who, is_router);
    REQUIRE(std::holds_alternative<tsp::TunnelInfo>(answer));
    return std::get<tsp::TunnelInfo>(std::move(answer));
  }
  int refused(char fill, const Requester& who = from()) {
    const auto answer = ask(fill, who);
    REQUIRE(std::holds_alternative<int>(answer));
    return std::get<int>(answer);
  }
};

}  // namespace

TEST_CASE(
    "wireguard store: a lease comes back with its key and its IPv4 address, and one without a key is "
    "corrupt") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("registry.db");
  Lease lease;
  lease.id = 1;
  lease.mode = LeaseMode::kWireguard;
  lease.address = v6("2001:db8:42::2");
  lease.wireguard_key = key('a');
  lease.address_v4 = make_address_v4("203.0.113.2");
  {
    Store store = open(path);
    REQUIRE_FALSE(store.put_lease(lease));
    auto keyless = lease;
    keyless.id = 2;
    keyless.wireguard_key.reset();
    REQUIRE_FALSE(store.put_lease(keyless));
    auto other_mode = lease;
    other_mode.id = 3;
    other_mode.mode = LeaseMode::kV6UdpV4;
    other_mode.wireguard_key = key('b');
    REQUIRE_FALSE(store.put_lease(other_mode));
    auto same_key = lease;
    same_key.id = 4;
    CHECK(store.put_lease(same_key));
  }
  Store store = open(path);
  const auto loaded = store.load_leases().value();
  CHECK(loaded.leases == std::vector{lease});
  CHECK(loaded.corrupt == 2);
}

TEST_CASE("wireguard leases: an IPv4 address comes with the IPv6 one while there are any") {
  Store store = open();
  LeaseBook book = load(store);
  std::set<std::string> given;
  for (char fill = 'a'; fill < 'a' + 7; ++fill) {
    const auto lease = book.acquire(request("", fill), kNow);
    REQUIRE(lease.has_value());
    if (lease->address_v4) given.insert(lease->address_v4->to_string());
  }
  // .1 is the broker's, .7 the last one.
  CHECK(given ==
        std::set<std::string>{"203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5", "203.0.113.6"});
  Store other = open();
  LeaseBook without = load(other, policy(nullptr));
  CHECK_FALSE(without.acquire(request("", 'a'), kNow)->address_v4);
}

TEST_CASE("wireguard leases: an anonymous client is found again by its key, a user by the name") {
  Store store = open();
  LeaseBook book = load(store);
  const auto first = book.acquire(request("", 'a'), kNow).value();
  CHECK(book.acquire(request("", 'b'), kNow)->id != first.id);
  auto elsewhere = request("", 'a');
  elsewhere.outer_address = make_address("192.0.2.99");
  const auto again = book.acquire(elsewhere, kNow + 5).value();
  CHECK(again.id == first.id);
  CHECK(again.address == first.address);
  CHECK(again.address_v4 == first.address_v4);
  CHECK(book.size() == 2);

  const auto alice = book.acquire(request("alice", 'c'), kNow).value();
  const auto new_key = book.acquire(request("alice", 'd'), kNow).value();
  CHECK(new_key.id == alice.id);
  CHECK(new_key.address_v4 == alice.address_v4);
  CHECK(book.find_key(key('c')) == nullptr);
  CHECK(book.find_key(key('d'))->id == alice.id);
  // In another mode the address stays and the key goes.
  const auto plain = book.acquire(request("alice", 'd', LeaseMode::kV6UdpV4), kNow).value();
  CHECK(plain.address == alice.address);
  CHECK_FALSE(plain.wireguard_key);
  CHECK(book.find_key(key('d')) == nullptr);
}

TEST_CASE("wireguard leases: nobody gets a tunnel with another's key") {
  Store store = open();
  LeaseBook book = load(store);
  REQUIRE(book.acquire(request("alice", 'a'), kNow).has_value());
  CHECK(book.acquire(request("bob", 'a'), kNow).error() == LeaseError::kKeyInUse);
  CHECK(book.acquire(request("", 'a'), kNow).error() == LeaseError::kKeyInUse);
  CHECK(book.size() == 1);
}

TEST_CASE("wireguard leases: they survive a restart, and what they hold is not given to others") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("registry.db");
  Lease before;
  {
    Store store = open(path);
    LeaseBook book = load(store);
    before = book.acquire(request("alice", 'a'), kNow).value();
    REQUIRE_FALSE(book.commit());
  }
  Store store = open(path);
  LeaseBook book = load(store);
  CHECK(book.skipped() == 0);
  REQUIRE(book.find_key(key('a')));
  CHECK(*book.find_key(key('a')) == before);
  CHECK(book.acquire(request("", 'b'), kNow)->address_v4 != before.address_v4);
  book.rollback();
  // The prefix of IPv4 changed: the rest stays.
  LeaseBook moved = load(store, policy("198.51.100.0/24"));
  REQUIRE(moved.find_key(key('a')));
  CHECK_FALSE(moved.find_key(key('a'))->address_v4);
  CHECK(moved.acquire(request("alice", 'a'), kNow)->address_v4->to_string().starts_with("198.51.100."));
}

TEST_CASE_FIXTURE(Fixture, "wireguard granter: what a client is told") {
  std::vector<std::int64_t> put;
  Granter::Changes changes;
  changes.put = [&](const Lease& lease) { put.push_back(lease.id); };
  granter.on_changes(std::move(changes));
  const auto info = granted('a', from("alice"), true);
  CHECK(info.mode == tsp::Mode::kWireguard);
  CHECK(info.server_v6 == v6("2001:db8:42::1"));
  CHECK(info.client_v6 == v6("2001:db8:42::2"));
  CHECK(info.server_v4.to_string() == "203.0.113.1");
  CHECK_FALSE(info.client_v4.is_unspecified());
  CHECK(info.keepalive_address == make_address("2001:db8:42::1"));
  CHECK(info.prefix);
  REQUIRE(info.wireguard);
  CHECK(info.wireguard->key == key('s'));
  CHECK(info.wireguard->endpoint_port == 0);
  REQUIRE(info.wireguard->allowed.size() == 2);
  CHECK(info.wireguard->allowed[0].to_string() == "::/0");
  CHECK(put == std::vector{book.find_user("alice")->id});
  CHECK(*tsp::parse_info(info.to_xml()) == info);
}

TEST_CASE_FIXTURE(Fixture,
                  "wireguard granter: without a key pair of its own the registry does not grant the mode") {
  Granter keyless{io.get_executor(), settings, book, tunnels};
  std::optional<Granter::Answer> answer;
  tsp::CreateRequest create;
  create.mode = tsp::Mode::kWireguard;
  create.client_address = make_address("192.168.1.2");
  create.wireguard_key = key('a');
  keyless.request(create, from(), now, [&](Granter::Answer given) { answer = std::move(given); });
  io.restart();
  io.poll();
  REQUIRE(answer);
  CHECK(std::get<int>(*answer) == tsp::kModeNotSupported);
}

TEST_CASE_FIXTURE(Fixture, "wireguard granter: who knows a public key does not get at its tunnel") {
  std::vector<std::int64_t> removed;
  Granter::Changes changes;
  changes.remove = [&](std::int64_t lease) { removed.push_back(lease); };
  granter.on_changes(std::move(changes));
  granted('a', from("alice"));
  CHECK(refused('a', from("bob")) == tsp::kInvalidRequest);
  CHECK(refused('a', from()) == tsp::kInvalidRequest);
  // An anonymous client in the middle of it.
  granted('b', from());
  CHECK(refused('b', from("bob", "192.0.2.66")) == tsp::kRequestInProgress);
  CHECK(removed.empty());
  // The same client that has logged in now; and one that was not heard of for a minute.
  const auto anonymous = book.find_key(key('b'))->id;
  granted('b', from("bob"));
  CHECK(removed == std::vector{anonymous});
  CHECK(book.find_key(key('b'))->user == "bob");
  granted('c', from({}, "192.0.2.2"));
  now += 61;
  granted('c', from("alice", "192.0.2.66"));
  CHECK(book.find_key(key('c'))->user == "alice");
}

TEST_CASE_FIXTURE(Fixture,
                  "wireguard granter: an anonymous client releases its lease over TCP from where it asked") {
  const auto info = granted('a');
  tsp::DeleteRequest leave{tsp::Mode::kWireguard, info.client_v6};
  const auto released = [&](Requester who) {
    int status = 0;
    granter.release(leave, who, [&](int given) { status = given; });
    io.restart();
    io.poll();
    CHECK(status == tsp::kSuccess);
    return book.find_key(key('a')) == nullptr;
  };
  CHECK_FALSE(released(from()));  // RUDP may be forged
  auto tcp = from({}, "192.0.2.66");
  tcp.transport = tsp::Transport::kTcp;
  CHECK_FALSE(released(tcp));
  tcp.peer = make_address("192.0.2.1");
  CHECK(released(tcp));
}

TEST_CASE(
    "wireguard tunnel server: packets of both families pass, and only from the client's own addresses") {
  TunnelServer server{{*net::Prefix::parse("2001:db8:42::/48"), v6("2001:db8:42::1"), 1280, 0, 0, 0,
                       make_address_v4("203.0.113.1"), 1280}};
  Lease lease;
  lease.id = 7;
  lease.mode = LeaseMode::kWireguard;
  lease.address = v6("2001:db8:42::2");
  lease.prefix = net::Prefix::parse("2001:db8:42:100::/56");
  lease.address_v4 = make_address_v4("203.0.113.2");
  lease.wireguard_key = key('a');
  server.put(lease);
  using test::ipv4_packet;
  using test::ipv6_packet;
  const auto from_peer = [&](const test::Packet& packet) { return server.from_peer(7, packet, kNow); };
  for (const char* own : {"2001:db8:42::2", "2001:db8:42:1ff::9"}) {
    CHECK_FALSE(from_peer(ipv6_packet(own, "2001:db8::9")).drop);
    const auto back = server.from_inside(ipv6_packet("2001:db8::9", own));
    CHECK_FALSE(back.drop);
    REQUIRE(back.tunnel);
    CHECK(back.tunnel->lease == 7);
    CHECK(back.tunnel->outer.mode == LeaseMode::kWireguard);
  }
  CHECK_FALSE(from_peer(ipv4_packet("203.0.113.2", "192.0.2.9")).drop);
  CHECK(server.from_inside(ipv4_packet("192.0.2.9", "203.0.113.2")).tunnel->lease == 7);
  CHECK(from_peer(ipv6_packet("2001:db8:42::3", "2001:db8::9")).drop == datapath::Drop::kForeignSource);
  CHECK(from_peer(ipv4_packet("203.0.113.3", "192.0.2.9")).drop == datapath::Drop::kForeignSource);
  CHECK(from_peer(ipv6_packet("::ffff:203.0.113.2", "2001:db8::9")).drop);
  CHECK(server.from_peer(8, ipv6_packet("2001:db8:42::2", "2001:db8::9"), kNow).drop ==
        datapath::Drop::kUnknownPeer);
  CHECK(server.from_inside(ipv4_packet("192.0.2.9", "203.0.113.3")).drop == datapath::Drop::kNoTunnel);
  // The same client in another mode.
  lease.mode = LeaseMode::kV6UdpV4;
  lease.wireguard_key.reset();
  lease.outer_address = make_address("192.0.2.1");
  lease.outer_port = 4000;
  server.put(lease);
  CHECK(server.from_inside(ipv4_packet("192.0.2.9", "203.0.113.2")).drop == datapath::Drop::kNoTunnel);
  server.remove(7);
  CHECK(server.from_inside(ipv6_packet("2001:db8::9", "2001:db8:42::2")).drop == datapath::Drop::kNoTunnel);
}
