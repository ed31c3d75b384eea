// SPDX-License-Identifier: BSD-3-Clause
#include "registry/broker/granter.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <map>
#include <set>

#include "tests/unit/net/ipv6_packet.h"
#include "tests/unit/store/file_size_limit.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::registry;
using boost::asio::ip::make_address;
using sixlink::test::v6;

namespace {

constexpr WallSeconds kNow = 1700000000;

Config sample_config() {
  Config made;
  made.leases.prefix = *net::Prefix::parse("2001:db8:42::/48");
  return made;
}

tsp::CreateRequest create(tsp::Mode mode = tsp::Mode::kV6AnyV4, const char* address = "192.168.1.2") {
  tsp::CreateRequest request;
  request.mode = mode;
  request.client_address = make_address(address);
  return request;
}

Requester requester(const std::string& user = {}, const char* peer = "192.0.2.1", std::uint16_t port = 4000) {
  return {user, tsp::Transport::kRudp, make_address(peer), port, make_address("198.51.100.1")};
}

// Another process that holds the database's write lock.
class Lock {
 public:
  explicit Lock(const std::string& path) {
    REQUIRE(sqlite3_open(path.c_str(), &database_) == SQLITE_OK);
    REQUIRE(sqlite3_exec(database_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  ~Lock() { sqlite3_close(database_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  sqlite3* database_ = nullptr;
};

struct Fixture {
  test::TemporaryDirectory directory;
  std::string path = directory.file("registry.db");
  boost::asio::io_context io;
  Config settings;
  Store store = open(path);
  LeaseBook book = load(store, settings);
  TunnelServer tunnels{{settings.leases.prefix, v6("2001:db8:42::1"), 1280}};
  Granter granter{io.get_executor(), settings, book, tunnels};
  std::vector<Granter::Answer> answers;
  WallSeconds now = kNow;

  explicit Fixture(Config with = sample_config()) : settings(std::move(with)) {}
  static Store open(const std::string& at) {
    auto opened = Store::open(at, std::chrono::milliseconds(0));
    REQUIRE(opened.has_value());
    return *std::move(opened);
  }
  static LeaseBook load(Store& from, const Config& with) {
    for (const char* name : {"alice", "bob"})
      REQUIRE(from.add_user({name, "sixlink", std::string(16, 'x'), 1}).has_value());
    auto loaded = LeaseBook::load(from, with.leases);
    REQUIRE(loaded.has_value());
    return *std::move(loaded);
  }
  void ask(const tsp::CreateRequest& request, const Requester& who) {
    granter.request(request, who, now,
                    [this](Granter::Answer answer) { answers.push_back(std::move(answer)); });
  }
  void settle() {
    io.restart();
    io.poll();
  }
  tsp::TunnelInfo granted(const tsp::CreateRequest& request, const Requester& who) {
    answers.clear();
    ask(request, who);
    settle();
    REQUIRE(answers.size() == 1);
    REQUIRE_MESSAGE(std::holds_alternative<tsp::TunnelInfo>(answers[0]), std::get<int>(answers[0]));
    return std::get<tsp::TunnelInfo>(answers[0]);
  }
  int refused(const tsp::CreateRequest& request, const Requester& who) {
    answers.clear();
    ask(request, who);
    settle();
    REQUIRE(answers.size() == 1);
    const int* status = std::get_if<int>(&answers[0]);
    return status ? *status : tsp::kSuccess;
  }
  bool was_found = false;  // by the last released()
  int released(const tsp::DeleteRequest& request, const Requester& who) {
    std::optional<int> status;
    was_found = granter.release(request, who, [&](int given) { status = given; });
    CHECK_FALSE(status);  // never from within
    settle();
    REQUIRE(status);
    return *status;
  }
  std::size_t durable() {
    auto other = open(path);
    return other.load_leases().value().leases.size();
  }
};

}  // namespace

TEST_CASE("granter: the mode for every combination of what is asked, offered and seen") {
  using tsp::Mode;
  std::map<LeaseMode, int> cases;
  for (unsigned bits = 0; bits < 1U << 13; ++bits) {
    const auto bit = [&](unsigned n) { return (bits >> n & 1) != 0; };
    auto offered = sample_config();
    offered.mode_v6udpv4 = bit(0);
    offered.mode_v6v4 = bit(1);
    offered.proxy = bit(2);
    offered.mode_v4v6 = bit(8);
    offered.prefers_v6v4 = bit(9);
    const RawTunnels raw{bit(3), bit(10)};
    const bool is_rudp = bit(4);
    const bool is_proxy = bit(5);
    const bool is_nat = bit(6);
    const bool is_v6_peer = bit(7);
    const auto mode = std::array{Mode::kV6V4, Mode::kV6UdpV4, Mode::kV6AnyV4, Mode::kV4V6}[bits >> 11];
    auto request = create(mode, is_nat || is_v6_peer ? "192.168.1.2" : "192.0.2.1");
    if (mode == Mode::kV4V6) request.client_address = make_address(is_nat ? "fd00::7" : "2001:db8::7");
    request.is_proxy = is_proxy;
    auto who = requester({}, is_v6_peer ? "2001:db8::7" : "192.0.2.1", 4000);
    if (is_v6_peer) who.local = make_address("2001:db8:99::1");
    who.transport = is_rudp ? tsp::Transport::kRudp : tsp::Transport::kTcp;

    // By tsp-wire: v6udpv4 never over TCP nor for another machine nor to IPv6; a direct tunnel only to who
    // asks, or where proxies may, and only where our own end of that family is known.
    const bool can_udp = offered.mode_v6udpv4 && is_rudp && !is_v6_peer && !is_proxy;
    const bool serves_v6v4 = offered.mode_v6v4 && raw.v6v4 && !is_v6_peer;
    const bool can_direct = serves_v6v4 && (is_proxy ? offered.proxy : !is_nat);
    const bool serves_v4v6 = offered.mode_v4v6 && raw.v4v6 && is_v6_peer;
    const bool can_v4v6 = serves_v4v6 && (is_proxy ? offered.proxy : !is_nat);
    int status = tsp::kSuccess;
    auto granted = LeaseMode::kV6UdpV4;
    if (is_proxy && !offered.proxy) {
      status = mode == Mode::kV4V6 ? tsp::kInvalidIpv6 : tsp::kInvalidIpv4;
    } else if (mode == Mode::kV6UdpV4) {
      status = can_udp ? tsp::kSuccess : tsp::kModeNotSupported;
    } else if (mode == Mode::kV6V4) {
      granted = LeaseMode::kV6V4;
      status = can_direct ? tsp::kSuccess : serves_v6v4 ? tsp::kInvalidIpv4 : tsp::kModeNotSupported;
    } else if (mode == Mode::kV6AnyV4) {
      granted = can_udp && !(can_direct && offered.prefers_v6v4) ? LeaseMode::kV6UdpV4 : LeaseMode::kV6V4;
      status = can_udp || can_direct ? tsp::kSuccess : tsp::kModeNotSupported;
    } else {
      granted = LeaseMode::kV4V6;
      status = can_v4v6 ? tsp::kSuccess : serves_v4v6 ? tsp::kInvalidIpv6 : tsp::kModeNotSupported;
    }
    CAPTURE(bits);
    const auto decision = decide_mode(offered, raw, request, who);
    REQUIRE(decision.status == status);
    if (status != tsp::kSuccess) continue;
    ++cases[granted];
    REQUIRE(decision.mode == granted);
    if (granted == LeaseMode::kV6UdpV4) {
      REQUIRE(decision.outer == who.peer);
      REQUIRE(decision.port == 4000);
    } else {
      REQUIRE(decision.outer == request.client_address);
      REQUIRE(decision.port == 0);
    }
  }
  for (const auto mode : {LeaseMode::kV6UdpV4, LeaseMode::kV6V4, LeaseMode::kV4V6}) CHECK(cases[mode] > 50);
}

TEST_CASE("granter: v6v4 over IPv6 is granted when our IPv4 address is configured") {
  auto config = sample_config();
  config.proxy = true;
  auto request = create(tsp::Mode::kV6V4, "192.0.2.1");
  request.is_proxy = true;
  auto who = requester({}, "2001:db8::7");
  who.local = make_address("2001:db8:99::1");
  CHECK(decide_mode(config, {true, true}, request, who).status == tsp::kModeNotSupported);
  config.advertised_v4 = boost::asio::ip::make_address_v4("198.51.100.1");
  CHECK(decide_mode(config, {true, true}, request, who).status == tsp::kSuccess);
}

struct FixtureV4 : Fixture {
  static Config with_v4() {
    auto made = sample_config();
    made.leases.prefix_v4 = net::PrefixV4::parse("203.0.113.0/24");
    made.mode_v4v6 = true;
    return made;
  }
  FixtureV4() : Fixture(with_v4()) { granter.set_raw_tunnels({true, true}); }
  static tsp::CreateRequest create_v4v6() { return create(tsp::Mode::kV4V6, "2001:db8::7"); }
  static Requester six(const std::string& user = {}, const char* peer = "2001:db8::7") {
    auto who = requester(user, peer);
    who.local = make_address("2001:db8:99::1");
    return who;
  }
};

TEST_CASE_FIXTURE(FixtureV4, "granter: what a v4v6 client is told") {
  auto request = create_v4v6();
  request.keepalive_interval = std::chrono::seconds(30);
  const auto info = granted(request, six("alice"));
  CHECK(info.mode == tsp::Mode::kV4V6);
  CHECK(info.server_v4.to_string() == "203.0.113.1");
  CHECK(info.client_v4.to_string() == "203.0.113.254");
  CHECK(info.server_v6 == v6("2001:db8:99::1"));  // what the client spoke to
  CHECK(info.client_v6 == v6("2001:db8::7"));
  CHECK(info.keepalive_interval == std::chrono::seconds(30));
  CHECK(info.keepalive_address == make_address("203.0.113.1"));
  CHECK(info.dns_servers == std::vector{v6("2001:db8:42::1")});
  CHECK_FALSE(info.prefix);
  CHECK_FALSE(info.prefix_v4);
  const auto* tunnel = tunnels.find_outer({LeaseMode::kV4V6, make_address("2001:db8::7"), 0});
  REQUIRE(tunnel);
  CHECK(tunnel->address == v6("::ffff:203.0.113.254"));
  CHECK(tunnels.local_of(*tunnel) == make_address("2001:db8:99::1"));
  CHECK(durable() == 1);
}

TEST_CASE_FIXTURE(FixtureV4, "granter: the MTU is the mode's") {
  settings.mtu = 1480;
  CHECK(granted(create_v4v6(), six("alice")).mtu == 1460);
  CHECK(granted(create(tsp::Mode::kV6V4, "192.0.2.1"), requester("alice")).mtu == 1480);
  CHECK(granted(create(tsp::Mode::kV6UdpV4), requester("alice")).mtu == 1472);
}

TEST_CASE_FIXTURE(FixtureV4, "granter: a user has a lease of each family, and each finds its own again") {
  const auto four = granted(create_v4v6(), six("alice"));
  const auto six_in_udp = granted(create(tsp::Mode::kV6UdpV4), requester("alice"));
  const auto six_in_four = granted(create(tsp::Mode::kV6V4, "192.0.2.1"), requester("alice"));
  CHECK(six_in_udp.client_v6 == six_in_four.client_v6);
  CHECK(granted(create_v4v6(), six("alice")).client_v4 == four.client_v4);
  CHECK(durable() == 2);
  CHECK(granted(create_v4v6(), six("bob", "2001:db8::7")).client_v4 != four.client_v4);

  int status = 0;
  tsp::DeleteRequest leave;
  leave.mode = tsp::Mode::kV4V6;
  granter.release(leave, six("alice"), [&](int answer) { status = answer; });
  settle();
  CHECK(status == tsp::kSuccess);
  CHECK(book.find_user("alice", LeaseMode::kV4V6) == nullptr);
  CHECK(book.find_user("alice", LeaseMode::kV6V4) != nullptr);
}

TEST_CASE_FIXTURE(FixtureV4, "granter: a v4v6 router gets an IPv4 prefix") {
  auto request = create_v4v6();
  request.is_router = true;
  request.prefix_length = 29;
  const auto info = granted(request, six("alice"));
  REQUIRE(info.prefix_v4);
  CHECK(info.prefix_v4->to_string() == "203.0.113.8/29");
  CHECK_FALSE(info.prefix);
  CHECK(tunnels.find(v6("::ffff:203.0.113.14"))->address == v6("::ffff:203.0.113.254"));
  request.prefix_length = 24;
  CHECK(refused(request, six("bob")) == tsp::kPrefixLengthNotSupported);
  request.prefix_length.reset();
  request.client_address = make_address("2001:db8::8");
  CHECK(granted(request, six("bob", "2001:db8::8")).prefix_v4->length == 30);
}

TEST_CASE_FIXTURE(FixtureV4, "granter: another machine's tunnel has no keepalive") {
  settings.proxy = true;
  auto request = create(tsp::Mode::kV6V4, "192.0.2.77");
  request.is_proxy = true;
  request.keepalive_interval = std::chrono::seconds(30);
  const auto info = granted(request, requester("alice"));
  CHECK(info.client_v4.to_string() == "192.0.2.77");
  CHECK_FALSE(info.keepalive_interval);
  CHECK(tunnels.find_outer({LeaseMode::kV6V4, make_address("192.0.2.77"), 0}) != nullptr);
  request = create(tsp::Mode::kV4V6, "2001:db8::77");
  request.is_proxy = true;
  CHECK(granted(request, six("alice")).client_v6 == v6("2001:db8::77"));
}

TEST_CASE_FIXTURE(Fixture, "granter: what a client is told") {
  auto request = create();
  request.keepalive_interval = std::chrono::seconds(30);
  const auto info = granted(request, requester("alice"));
  CHECK(info.mode == tsp::Mode::kV6UdpV4);
  CHECK(info.lifetime == settings.lifetime);
  CHECK_FALSE(info.mtu);
  CHECK(info.server_v4.to_string() == "198.51.100.1");  // what the client spoke to
  CHECK(info.server_v6 == v6("2001:db8:42::1"));
  CHECK(info.client_v4.to_string() == "192.0.2.1");
  CHECK(info.client_v6 == v6("2001:db8:42::2"));
  CHECK(info.dns_servers == std::vector{v6("2001:db8:42::1")});
  CHECK_FALSE(info.prefix);
  CHECK(info.keepalive_interval == std::chrono::seconds(30));
  CHECK(info.keepalive_address == v6("2001:db8:42::1"));

  settings.advertised_v4 = boost::asio::ip::make_address_v4("203.0.113.9");
  settings.dns_server = v6("2001:db8:53::53");
  settings.mtu = 1472;
  request.keepalive_interval = std::chrono::seconds(1);
  const auto anonymous = granted(request, requester({}, "192.0.2.2"));
  CHECK(anonymous.server_v4.to_string() == "203.0.113.9");
  CHECK(anonymous.dns_servers.front() == v6("2001:db8:53::53"));
  CHECK(anonymous.mtu == 1472);
  CHECK(anonymous.keepalive_interval == settings.keepalive_interval_min);
  CHECK(anonymous.lifetime == std::chrono::seconds(settings.leases.anonymous_lifetime));
  request.keepalive_interval.reset();
  CHECK_FALSE(granted(request, requester({}, "192.0.2.3")).keepalive_interval);
}

TEST_CASE_FIXTURE(Fixture, "granter: a router gets its prefix, and the same one again") {
  auto request = create();
  request.is_router = true;
  request.prefix_length = 56;
  const auto first = granted(request, requester("alice"));
  REQUIRE(first.prefix);
  CHECK(first.prefix->length == 56);
  CHECK_FALSE(first.prefix->contains(first.client_v6));
  const auto again = granted(request, requester("alice", "203.0.113.5", 77));
  CHECK(again.prefix == first.prefix);
  CHECK(again.client_v6 == first.client_v6);
  CHECK(tunnels.find(first.prefix->address)->outer.port == 77);
  request.prefix_length = 40;
  CHECK(refused(request, requester("alice")) == tsp::kPrefixLengthNotSupported);
  request.prefix_length = 64;
  CHECK(refused(request, requester()) == tsp::kPrefixNotForAnonymous);
}

TEST_CASE_FIXTURE(Fixture,
                  "granter: a router that leaves the length to us keeps what it has, else the longest") {
  auto request = create();
  request.is_router = true;
  const auto first = granted(request, requester("alice"));
  CHECK(first.prefix->length == 64);
  request.prefix_length = 0;
  CHECK(granted(request, requester("alice")).prefix == first.prefix);
  request.prefix_length = 56;
  const auto larger = granted(request, requester("alice"));
  request.prefix_length.reset();
  CHECK(granted(request, requester("alice")).prefix == larger.prefix);
  CHECK(refused(request, requester({}, "192.0.2.2")) == tsp::kPrefixNotForAnonymous);
}

TEST_CASE_FIXTURE(Fixture,
                  "granter: the tunnel works before its client hears of it, and the lease is on disk") {
  bool was_called = false;
  granter.request(create(), requester("alice"), kNow, [&](const Granter::Answer& answer) {
    was_called = true;
    REQUIRE(std::holds_alternative<tsp::TunnelInfo>(answer));
    CHECK(tunnels.find(std::get<tsp::TunnelInfo>(answer).client_v6) != nullptr);
    CHECK_FALSE(book.has_uncommitted());
    CHECK(durable() == 1);
  });
  CHECK_FALSE(was_called);
  settle();
  CHECK(was_called);
}

TEST_CASE_FIXTURE(Fixture, "granter: requests that arrive together share one commit") {
  for (int i = 0; i < 200; ++i)
    ask(create(), requester({}, "192.0.2.1", static_cast<std::uint16_t>(1000 + i)));
  CHECK(answers.empty());
  CHECK(durable() == 0);
  CHECK(tunnels.size() == 0);
  settle();
  CHECK(answers.size() == 200);
  CHECK(durable() == 200);
  CHECK(tunnels.size() == 200);
  std::set<net::AddressV6> addresses;
  for (const auto& answer : answers) addresses.insert(std::get<tsp::TunnelInfo>(answer).client_v6);
  CHECK(addresses.size() == 200);
}

TEST_CASE_FIXTURE(Fixture,
                  "granter: when the commit fails, all of the batch are refused and no tunnel is there") {
  (void)granted(create(), requester("bob", "192.0.2.50"));
  answers.clear();
  for (int i = 0; i < 20; ++i)
    ask(create(), requester({}, "192.0.2.1", static_cast<std::uint16_t>(1000 + i)));
  ask(create(), requester("bob", "192.0.2.51"));
  ask(create(tsp::Mode::kV4V6, "2001:db8::1"), requester("alice"));
  {
    const test::FileSizeLimit full(4096);
    settle();
  }
  REQUIRE(answers.size() == 22);
  for (std::size_t i = 0; i < 21; ++i) CHECK(std::get<int>(answers[i]) == tsp::kServerError);
  CHECK(std::get<int>(answers[21]) == tsp::kModeNotSupported);  // refused for its own reason
  CHECK(tunnels.size() == 1);
  CHECK(tunnels.find_outer({LeaseMode::kV6UdpV4, make_address("192.0.2.50"), 4000}) !=
        nullptr);  // bob's stays where it was
  CHECK_FALSE(granter.take_store_problem().empty());
  CHECK(granter.take_store_problem().empty());
  // And then it works again.
  const auto alice = granted(create(), requester("alice"));
  REQUIRE(tunnels.find(alice.client_v6) != nullptr);
  CHECK(tunnels.find(alice.client_v6)->outer.address == make_address("192.0.2.1"));
}

TEST_CASE_FIXTURE(Fixture, "granter: a store that is locked refuses, and the next good request works") {
  {
    const Lock lock(path);
    CHECK(refused(create(), requester("alice")) == tsp::kServerError);
    CHECK(refused(create(), requester()) == tsp::kServerError);
  }
  CHECK(tunnels.size() == 0);
  CHECK(refused(create(), requester("alice")) == tsp::kSuccess);
}

TEST_CASE_FIXTURE(
    Fixture,
    "granter: who asks again anonymously from the same endpoint has the same tunnel while it lives") {
  const auto first = granted(create(), requester());
  for (int i = 0; i < 5; ++i) {
    now += 30;
    CHECK(tunnels.find_sender({LeaseMode::kV6UdpV4, make_address("192.0.2.1"), 4000}, {}, now) != nullptr);
    CHECK(granted(create(), requester()).client_v6 == first.client_v6);
  }
  CHECK(book.size() == 1);
  CHECK(tunnels.size() == 1);
  CHECK(durable() == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "granter: a silent anonymous lease is given back when someone asks from its endpoint") {
  const auto first = granted(create(), requester());
  now += 60;
  const auto second = granted(create(), requester());
  CHECK(second.client_v6 != first.client_v6);
  CHECK(book.size() == 1);
  CHECK(durable() == 1);
  CHECK(tunnels.size() == 1);
  CHECK(tunnels.find(first.client_v6) == nullptr);
  CHECK(tunnels.find(second.client_v6)->outer.port == 4000);
}

TEST_CASE_FIXTURE(Fixture, "granter: an anonymous request does not take a user's living tunnel") {
  const auto alice = granted(create(), requester("alice"));
  now += 59;
  CHECK(refused(create(), requester()) == tsp::kRequestInProgress);
  CHECK(tunnels.find(alice.client_v6)->outer.port == 4000);
  // Nor one that is silent is ended: it keeps its lease, somewhere else.
  now += 1;
  const auto other = granted(create(), requester());
  CHECK(book.size() == 2);
  CHECK(tunnels.find(alice.client_v6)->outer.address.is_unspecified());
  CHECK(tunnels.find(other.client_v6)->outer.port == 4000);
  // Another user may have it at once: the login proved that someone is there.
  CHECK(granted(create(), requester("bob")).client_v6 != alice.client_v6);
}

TEST_CASE_FIXTURE(Fixture, "granter: at the quota, the longest silent lease of that address makes room") {
  auto tight = sample_config();
  tight.leases.anonymous_per_address = 3;
  auto tight_book = LeaseBook::load(store, tight.leases);
  REQUIRE(tight_book.has_value());
  Granter small(io.get_executor(), tight, *tight_book, tunnels);
  std::vector<Granter::Answer> given;
  const auto from = [&](std::uint16_t port) {
    small.request(create(), requester({}, "192.0.2.1", port), now,
                  [&](Granter::Answer answer) { given.push_back(std::move(answer)); });
    settle();
    return std::holds_alternative<tsp::TunnelInfo>(given.back()) ? static_cast<int>(tsp::kSuccess)
                                                                 : std::get<int>(given.back());
  };
  CHECK(from(1) == tsp::kSuccess);
  now += 10;
  CHECK(from(2) == tsp::kSuccess);
  CHECK(from(3) == tsp::kSuccess);
  now += 280;
  CHECK(from(4) == tsp::kServerBusy);
  now += 11;
  CHECK(from(5) == tsp::kSuccess);
  CHECK(tight_book->size() == 3);
  CHECK(tunnels.size() == 3);
  CHECK(tunnels.find(std::get<tsp::TunnelInfo>(given[0]).client_v6) == nullptr);
  CHECK(tunnels.find(std::get<tsp::TunnelInfo>(given[1]).client_v6) != nullptr);
}

TEST_CASE_FIXTURE(Fixture, "granter: the earlier lease stays when the new one could not be written") {
  const auto first = granted(create(), requester());
  answers.clear();
  now += 1000;
  ask(create(), requester());
  {
    const test::FileSizeLimit full(4096);
    settle();
  }
  CHECK(std::get<int>(answers.at(0)) == tsp::kServerError);
  REQUIRE(tunnels.find(first.client_v6) != nullptr);
  CHECK(tunnels.find(first.client_v6)->outer.port == 4000);
  CHECK(book.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "granter: a batch that someone else's commit lost is refused as well") {
  (void)granted(create(), requester({}, "192.0.2.9"));
  answers.clear();
  now += 1000;
  ask(create(), requester({}, "192.0.2.9"));
  ask(create(), requester("alice"));
  {
    // The server's maintenance writes activity in between, and the disk is full.
    const test::FileSizeLimit full(4096);
    REQUIRE(book.commit());
  }
  settle();
  REQUIRE(answers.size() == 2);
  for (const auto& answer : answers) {
    REQUIRE(std::holds_alternative<int>(answer));
    CHECK(std::get<int>(answer) == tsp::kServerError);
  }
  CHECK(book.size() == 1);
  CHECK(tunnels.size() == 1);
  CHECK(tunnels.find_outer({LeaseMode::kV6UdpV4, make_address("192.0.2.9"), 4000}) != nullptr);
}

TEST_CASE_FIXTURE(Fixture,
                  "granter: a user who asks from two places at once has one tunnel, at the later place") {
  ask(create(), requester("alice", "192.0.2.1"));
  ask(create(), requester("alice", "192.0.2.2"));
  settle();
  REQUIRE(answers.size() == 2);
  // The earlier place is not told of a tunnel that it has lost already.
  CHECK(std::get<int>(answers[0]) == tsp::kServerError);
  REQUIRE(std::holds_alternative<tsp::TunnelInfo>(answers[1]));
  CHECK(tunnels.size() == 1);
  CHECK(tunnels.find(std::get<tsp::TunnelInfo>(answers[1]).client_v6)->outer.address ==
        make_address("192.0.2.2"));
}

TEST_CASE_FIXTURE(Fixture, "granter: every failure of the lease book has its status") {
  settings.leases.anonymous_per_address = 0;
  CHECK(refused(create(), requester("carol")) == tsp::kAuthenticationFailed);  // deleted after the login
  auto tight = sample_config();
  tight.leases.last_identifier = 3;
  tight.leases.anonymous_per_address = 2;
  auto tight_book = LeaseBook::load(store, tight.leases);
  REQUIRE(tight_book.has_value());
  Granter small(io.get_executor(), tight, *tight_book, tunnels);
  std::vector<int> statuses;
  const auto from = [&](const char* peer, std::uint16_t port) {
    small.request(create(), requester({}, peer, port), kNow, [&](const Granter::Answer& answer) {
      statuses.push_back(std::holds_alternative<int>(answer) ? std::get<int>(answer) : tsp::kSuccess);
    });
    settle();
  };
  for (std::uint16_t port = 1; port <= 3; ++port) from("192.0.2.1", port);
  from("192.0.2.2", 1);
  CHECK(statuses == std::vector<int>{200, 200, 530, 301});
}

TEST_CASE_FIXTURE(Fixture, "granter: a user's lease ends, and address and prefix are free again") {
  auto request = create(tsp::Mode::kV6UdpV4);
  request.is_router = true;
  request.prefix_length = 56;
  const auto first = granted(request, requester("alice"));
  CHECK(durable() == 1);
  // From anywhere: the login says who it is.
  CHECK(released({}, requester("alice", "203.0.113.9", 1)) == tsp::kSuccess);
  CHECK(durable() == 0);
  CHECK(tunnels.size() == 0);
  CHECK_FALSE(tunnels.find(first.client_v6));
  CHECK(released({}, requester("alice")) == tsp::kSuccess);  // there is none
  CHECK(released({}, requester("nobody")) == tsp::kSuccess);
  const auto other = granted(request, requester("bob"));
  CHECK(other.prefix == first.prefix);
}

TEST_CASE_FIXTURE(Fixture, "granter: a user's release touches nobody else's lease") {
  const auto bob = granted(create(tsp::Mode::kV6UdpV4), requester("bob", "192.0.2.1", 4000));
  granted(create(tsp::Mode::kV6UdpV4), requester("alice", "192.0.2.1", 4001));
  CHECK(released({tsp::Mode::kV6UdpV4, bob.client_v6}, requester("alice", "192.0.2.1", 4000)) ==
        tsp::kSuccess);
  CHECK(durable() == 1);
  CHECK(tunnels.find(bob.client_v6));
}

TEST_CASE_FIXTURE(Fixture,
                  "granter: an anonymous lease ends for who comes from where its tunnel ends, alone") {
  const auto held = granted(create(tsp::Mode::kV6UdpV4), requester());
  const tsp::DeleteRequest named{tsp::Mode::kV6UdpV4, held.client_v6};
  auto over_tcp = requester();
  over_tcp.transport = tsp::Transport::kTcp;
  for (const auto& [request, who] :
       {std::pair{named, requester({}, "192.0.2.1", 4001)},
        {named, requester({}, "192.0.2.2", 4000)},
        {named, over_tcp},
        {tsp::DeleteRequest{}, requester()},
        {tsp::DeleteRequest{tsp::Mode::kV6UdpV4, v6("2001:db8:42::77")}, requester()},
        {tsp::DeleteRequest{tsp::Mode::kV4V6, make_address("203.0.113.2")}, requester()}}) {
    CHECK(released(request, who) == tsp::kSuccess);
    CHECK_FALSE(was_found);
    CHECK(durable() == 1);
  }
  CHECK(released(named, requester()) == tsp::kSuccess);
  CHECK(was_found);
  CHECK(durable() == 0);
  CHECK(tunnels.size() == 0);
}

TEST_CASE_FIXTURE(Fixture, "granter: who is not logged in does not end a user's lease") {
  const auto held = granted(create(tsp::Mode::kV6UdpV4), requester("alice"));
  CHECK(released({tsp::Mode::kV6UdpV4, held.client_v6}, requester()) == tsp::kSuccess);
  CHECK(durable() == 1);
}

TEST_CASE_FIXTURE(Fixture, "granter: a tunnel without ports is released over TCP, which cannot be forged") {
  granter.set_raw_tunnels({true, false});
  const auto held = granted(create(tsp::Mode::kV6V4, "192.0.2.1"), requester());
  const tsp::DeleteRequest named{tsp::Mode::kV6V4, held.client_v6};
  CHECK(released(named, requester()) == tsp::kSuccess);
  CHECK(durable() == 1);
  auto who = requester({}, "192.0.2.1", 55555);
  who.transport = tsp::Transport::kTcp;
  CHECK(released(named, who) == tsp::kSuccess);
  CHECK(durable() == 0);
}

TEST_CASE_FIXTURE(Fixture,
                  "granter: a release that cannot be written is answered 310, and the tunnel stays") {
  const auto held = granted(create(tsp::Mode::kV6UdpV4), requester("alice"));
  {
    const Lock lock(path);
    CHECK(released({}, requester("alice")) == tsp::kServerError);
    CHECK_FALSE(granter.take_store_problem().empty());
  }
  CHECK(tunnels.find(held.client_v6));
  CHECK(durable() == 1);
  CHECK(released({}, requester("alice")) == tsp::kSuccess);
  CHECK(durable() == 0);
}
