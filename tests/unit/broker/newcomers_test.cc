// SPDX-License-Identifier: BSD-3-Clause
#include "registry/broker/newcomers.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>

#include "tests/unit/net/ipv6_packet.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::registry;
using namespace std::chrono_literals;
using boost::asio::ip::make_address;
using sixlink::test::v6;

namespace {

constexpr WallSeconds kNow = 1700000000;

Requester requester(const std::string& user = {}, std::uint16_t port = 4000) {
  return {user, tsp::Transport::kRudp, make_address("192.0.2.1"), port, make_address("198.51.100.1")};
}

struct Fixture {
  test::TemporaryDirectory directory;
  std::ostringstream lines;
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines)};
  Config config;
  tsp::ServerPolicy policy;
  std::optional<Store> store;
  std::optional<LeaseBook> book;
  std::optional<TunnelServer> tunnels;
  std::optional<Newcomers> newcomers;
  Newcomers::TimePoint now{1000h};

  explicit Fixture(const std::string& keys = "") {
    auto loaded = parse_config("test.conf", "prefix=2001:db8:42::/48\nprefix_v4=203.0.113.0/24\n" + keys);
    REQUIRE(loaded.config);
    config = *std::move(loaded.config);
    auto opened = Store::open(directory.file("registry.db"), std::chrono::milliseconds(0));
    REQUIRE(opened.has_value());
    store.emplace(*std::move(opened));
    REQUIRE(store->add_user({"alice", "sixlink", std::string(16, 'x'), 1}).has_value());
    auto leases = LeaseBook::load(*store, config.leases);
    REQUIRE(leases.has_value());
    book.emplace(*std::move(leases));
    TunnelServer::Settings settings;
    settings.prefix = config.leases.prefix;
    settings.broker_address = book->broker_address();
    tunnels.emplace(settings);
    newcomers.emplace(config, log, policy, *book, *tunnels);
    newcomers->begin();
  }

  // A tunnel, seen at `when`.
  void grant(const std::string& user = {}, std::uint16_t port = 4000, WallSeconds when = kNow) {
    LeaseRequest wanted;
    wanted.user = user;
    wanted.outer_address = make_address("192.0.2.1");
    wanted.outer_port = port;
    auto lease = book->acquire(wanted, when);
    REQUIRE(lease.has_value());
    REQUIRE_FALSE(book->commit());
    tunnels->put(*lease);
  }
  // The same, without UDP.
  void grant(LeaseMode mode, const std::string& user, const char* outer) {
    LeaseRequest wanted;
    wanted.user = user;
    wanted.mode = mode;
    wanted.outer_address = make_address(outer);
    auto lease = book->acquire(wanted, kNow);
    REQUIRE(lease.has_value());
    REQUIRE_FALSE(book->commit());
    tunnels->put(*lease);
  }
  bool has_logged(const std::string& text) const { return lines.str().find(text) != std::string::npos; }
  RegistryStatus status(WallSeconds wall = kNow) const {
    RegistryStatus status;
    newcomers->fill_in(status, now, wall);
    return status;
  }
};

}  // namespace

TEST_CASE("newcomers: everybody is served as long as nobody says otherwise") {
  Fixture f;
  f.grant();
  CHECK_FALSE(f.newcomers->tick(f.now, kNow));
  CHECK_FALSE(f.newcomers->refusal(requester(), kNow));
  CHECK(f.policy.redirection.empty());
  CHECK_FALSE(f.policy.redirects_all);
  CHECK(f.policy.answers_echo);
  CHECK(f.status().tunnels_in_use == 1);
  CHECK(f.status().redirect == "no");
}

TEST_CASE("newcomers: a front door sends everybody on, in reply to VERSION") {
  Fixture f("redirect=a.example.net b.example.net:3654\n");
  CHECK(f.policy.redirects_all);
  CHECK(f.policy.redirection.find("<address type=\"dn\">b.example.net:3654</address>") != std::string::npos);
  CHECK(f.newcomers->refusal(requester(), kNow) == tsp::kRedirection);
  CHECK(f.status().redirect == "always");
  CHECK(f.has_logged("a front door"));
}

TEST_CASE("newcomers: this machine is not redirected to") {
  Fixture f("redirect=127.0.0.1 127.0.0.1:99 192.0.2.1\nlisten=0.0.0.0\n");
  CHECK(f.has_logged("redirect=127.0.0.1 is this machine"));
  // Another port is another registry.
  CHECK(f.status().redirect_brokers == "127.0.0.1:99 192.0.2.1");
  Fixture alone("redirect=[::1]:3653\nlisten=[::]\n");
  CHECK_FALSE(alone.policy.redirects_all);
  CHECK_FALSE(alone.newcomers->refusal(requester(), kNow));
}

TEST_CASE("newcomers: above the number of tunnels those are served who hold one") {
  Fixture f("redirect=a.example.net\nredirect_above_tunnels=2\n");
  f.grant("alice", 4000);
  f.grant({}, 4001);
  CHECK_FALSE(f.newcomers->refusal(requester({}, 4002), kNow));
  CHECK_FALSE(f.newcomers->tick(f.now, kNow));
  CHECK(f.has_logged("loaded: newcomers are redirected to a.example.net"));
  CHECK(f.newcomers->refusal(requester({}, 4002), kNow) == tsp::kRedirection);
  CHECK(f.newcomers->refusal(requester("bob", 4002), kNow) == tsp::kRedirection);
  // alice from another place, and the anonymous one from the same.
  CHECK_FALSE(f.newcomers->refusal(requester("alice", 5000), kNow));
  CHECK_FALSE(f.newcomers->refusal(requester({}, 4001), kNow));
  CHECK(f.status().redirect == "load");
  // Silent tunnels are not in use, and their owners newcomers again.
  const auto later = kNow + Newcomers::kInUse;
  CHECK(f.newcomers->refusal(requester("alice", 5000), later) == tsp::kRedirection);
  CHECK_FALSE(f.newcomers->tick(f.now + 10s, later));
  CHECK(f.has_logged("no longer loaded"));
  CHECK_FALSE(f.newcomers->refusal(requester({}, 4002), later));
}

TEST_CASE("newcomers: tunnels without UDP are held as well") {
  Fixture f("redirect=a.example.net\nredirect_above_tunnels=1\n");
  f.grant(LeaseMode::kV6V4, {}, "192.0.2.7");
  f.grant(LeaseMode::kV4V6, {}, "2001:db8:99::7");
  f.grant(LeaseMode::kV4V6, "alice", "2001:db8:99::8");
  CHECK_FALSE(f.newcomers->tick(f.now, kNow));
  Requester anyone = requester({}, 5000);
  CHECK(f.newcomers->refusal(anyone, kNow) == tsp::kRedirection);
  anyone.peer = make_address("192.0.2.7");
  CHECK_FALSE(f.newcomers->refusal(anyone, kNow));
  anyone.peer = make_address("2001:db8:99::7");
  CHECK_FALSE(f.newcomers->refusal(anyone, kNow));
  CHECK_FALSE(f.newcomers->refusal(requester("alice", 5000), kNow));
}

TEST_CASE("newcomers: grants between two measurements count") {
  Fixture f("redirect=a.example.net\nredirect_above_tunnels=3\n");
  CHECK_FALSE(f.newcomers->tick(f.now, kNow));
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(f.newcomers->refusal(requester({}, 4002), kNow));
    f.newcomers->granted();
  }
  CHECK(f.newcomers->refusal(requester({}, 4002), kNow) == tsp::kRedirection);
}

TEST_CASE("newcomers: drained, with brokers and without") {
  for (const bool has_brokers : {true, false}) {
    Fixture f(has_brokers ? "redirect=a.example.net\nredirect_when=drain\n" : "");
    f.grant("alice");
    CHECK_FALSE(f.newcomers->refusal(requester("alice"), kNow));
    f.newcomers->drain({}, f.now);
    CHECK(f.newcomers->refusal(requester("alice"), kNow) ==
          (has_brokers ? tsp::kRedirection : tsp::kServerBusy));
    CHECK_FALSE(f.policy.answers_echo);
    CHECK_FALSE(f.policy.redirects_all);
    CHECK(f.status().is_draining);
    CHECK_FALSE(f.newcomers->tick(f.now + 1h, kNow + 3600));
    f.newcomers->drain({false, false, {}}, f.now);
    CHECK_FALSE(f.newcomers->refusal(requester("alice"), kNow));
    CHECK(f.policy.answers_echo);
    CHECK_FALSE(f.status().is_draining);
  }
}

TEST_CASE("newcomers: drained and told to stop, it ends without tunnels or when the time is over") {
  Fixture f;
  f.grant();
  f.newcomers->drain({true, true, 600s}, f.now);
  CHECK(f.status().stops_in == 600s);
  CHECK_FALSE(f.newcomers->tick(f.now, kNow));
  CHECK_FALSE(f.newcomers->tick(f.now + 30s, kNow + 30));
  SUBCASE("the last tunnel falls silent") {
    CHECK(f.newcomers->tick(f.now + 90s, kNow + 90));
    CHECK(f.has_logged("no tunnel is in use any more"));
  }
  SUBCASE("the tunnel stays in use") {
    f.grant({}, 4001, kNow + 590);
    CHECK_FALSE(f.newcomers->tick(f.now + 595s, kNow + 595));
    CHECK(f.newcomers->tick(f.now + 600s, kNow + 600));
    CHECK(f.has_logged("the time is over"));
  }
  SUBCASE("undone") {
    f.newcomers->drain({false, false, {}}, f.now + 31s);
    CHECK_FALSE(f.newcomers->tick(f.now + 700s, kNow + 700));
    CHECK_FALSE(f.status().stops_when_drained);
  }
}
