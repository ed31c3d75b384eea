// SPDX-License-Identifier: BSD-3-Clause
#include "registry/dns/updater.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <boost/asio/co_spawn.hpp>
#include <memory>
#include <random>
#include <set>
#include <sstream>

#include "registry/dns/record_plan.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::registry;
using namespace sixlink::registry::dns;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// A DNS server that understands the commands for nsupdate.
class FakeDns {
 public:
  enum class Fault { kNone, kSilent, kLostAnswer, kRefusing };

  UpdateResult update(const std::string& script) {
    ++updates;
    UpdateResult result;
    if (fault == Fault::kSilent) {
      result.problem = "nobody answers";
      return result;
    }
    result.was_answered = fault != Fault::kLostAnswer;
    if (fault == Fault::kRefusing) {
      result.failure = UpdateQueue::Failure::kRefused;
      result.problem = "update failed: REFUSED";
      return result;
    }
    std::istringstream lines(script);
    std::string zone;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string command, verb, name, ttl, in, type, data;
      words >> command;
      if (command == "zone") words >> zone;
      if (command != "update") continue;
      words >> verb >> name;
      if (verb == "add") words >> ttl;
      words >> in >> type >> data;
      const auto record = zone + " " + name + " " + type + " " + data;
      if (verb == "add") {
        records.insert(record);
      } else {
        records.erase(record);
      }
    }
    result.has_succeeded = fault == Fault::kNone;
    if (!result.has_succeeded) result.problem = "timed out";
    return result;
  }

  Fault fault = Fault::kNone;
  int updates = 0;
  std::set<std::string> records;
};

const std::string kReverse = "2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa";

Settings usual_settings() {
  Settings settings;
  settings.update_server = "192.0.2.53";
  settings.update_key = "/dev/null";
  settings.reverse_zones = {kReverse};
  settings.user_domain = settings.user_zone = "users.example.net";
  return settings;
}

LeasePolicy usual_policy() {
  LeasePolicy policy;
  policy.prefix = *net::Prefix::parse("2001:db8:42::/48");
  policy.last_identifier = 1000;
  return policy;
}

// A registry as far as DNS sees it; restarting it keeps the database.
class World {
 public:
  explicit World(Settings with = usual_settings()) : settings(std::move(with)) { start(); }
  ~World() { end(); }

  void start() {
    auto opened = Store::open(directory_.file("registry.db"));
    REQUIRE(opened.has_value());
    store = std::make_unique<Store>(*std::move(opened));
    auto loaded = LeaseBook::load(*store, usual_policy());
    REQUIRE(loaded.has_value());
    book = std::make_unique<LeaseBook>(*std::move(loaded));
    io = std::make_unique<asio::io_context>(1);
    updater = std::make_unique<Updater>(
        *io, settings, *store, *book, log,
        [this](std::string, std::string script, std::function<bool()>) -> asio::awaitable<UpdateResult> {
          co_return dns.update(script);
        });
    asio::co_spawn(*io, updater->run(),
                   [](const std::exception_ptr& exception) { REQUIRE_FALSE(exception); });
  }
  // As a crash: whatever is not in the database is gone.
  void end() {
    updater->stop();
    updater.reset();
    io.reset();
    book.reset();
    store.reset();
  }
  void restart() {
    end();
    start();
  }
  void run(int rounds = 3) {
    for (int i = 0; i < rounds; ++i) {
      updater->retry_now();
      io->restart();
      io->run_for(2ms);
    }
  }
  std::int64_t acquire(const std::string& user, int prefix_length = 0,
                       std::vector<std::string> servers = {}) {
    if (!store->find_user(user).value())
      REQUIRE(store->add_user({user, "sixlink", std::string(16, 'x'), 1}).value());
    LeaseRequest request;
    request.user = user;
    request.outer_address = asio::ip::make_address("192.0.2.7");
    request.prefix_length = prefix_length;
    request.name_servers = std::move(servers);
    const auto lease = book->acquire(request, 1000);
    REQUIRE(lease.has_value());
    REQUIRE_FALSE(book->commit());
    return lease->id;
  }
  void release(std::int64_t id) {
    REQUIRE(book->release(id));
    REQUIRE_FALSE(book->commit());
  }
  std::string database() const { return directory_.file("registry.db"); }
  std::set<std::string> wanted() const {
    std::set<std::string> all;
    for (const auto& record : wanted_records(settings, book->leases())) {
      const bool is_name = record.type == "NS" || record.type == "PTR";
      all.insert(record.zone + ". " + record.name + ". " + record.type + " " + record.data +
                 (is_name ? "." : ""));
    }
    return all;
  }

  std::ostringstream logged;
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(logged)};
  Settings settings;
  FakeDns dns;
  std::unique_ptr<Store> store;
  std::unique_ptr<LeaseBook> book;
  std::unique_ptr<asio::io_context> io;
  std::unique_ptr<Updater> updater;

 private:
  test::TemporaryDirectory directory_;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("dns updater: records come with a lease, change and go with it") {
  World world;
  world.run();
  CHECK(world.dns.updates == 0);
  const auto id = world.acquire("alice", 56, {"ns1.example.net"});
  world.run();
  CHECK(world.dns.records.size() == 3);
  CHECK(world.dns.records == world.wanted());
  const auto updates = world.dns.updates;
  CHECK(updates == 2);  // one for each zone
  world.run();
  CHECK(world.dns.updates == updates);  // nothing changed, nothing is sent
  world.acquire("alice", 58, {"ns1.example.net", "2001:db8:42::53"});
  world.run();
  CHECK(world.dns.records == world.wanted());
  CHECK(world.dns.records.size() == 2 + 1 + 8);
  world.acquire("alice", 58, {});
  world.run();
  CHECK(world.dns.records.size() == 2);
  world.release(id);
  world.run();
  CHECK(world.dns.records.empty());
  CHECK(world.store->dns_records().value().empty());
}

TEST_CASE("dns updater: what could not be sent is sent when the server is back") {
  World world;
  world.dns.fault = FakeDns::Fault::kSilent;
  world.acquire("alice", 56, {"ns1.example.net"});
  world.run();
  CHECK(world.dns.records.empty());
  CHECK(contains(world.logged.str(),
                 "cannot update the DNS zone users.example.net on 192.0.2.53: nobody answers"));
  CHECK(world.store->dns_zones().value().at(kReverse).problem == "nobody answers");
  const auto before = world.logged.str().size();
  world.run(20);
  CHECK(world.logged.str().size() == before);  // the same is not told again
  world.dns.fault = FakeDns::Fault::kNone;
  world.run();
  CHECK(world.dns.records == world.wanted());
  CHECK(contains(world.logged.str(), "can be updated again"));
  CHECK(world.store->dns_zones().value().at(kReverse).problem.empty());
}

TEST_CASE("dns updater: a lease that ended while the server was away leaves nothing") {
  World world;
  const auto id = world.acquire("alice");
  world.run();
  world.dns.fault = FakeDns::Fault::kSilent;
  world.release(id);
  world.run();
  world.restart();
  world.run();
  CHECK(world.dns.records.size() == 2);
  world.dns.fault = FakeDns::Fault::kNone;
  world.run();
  CHECK(world.dns.records.empty());
}

TEST_CASE("dns updater: an update whose answer was lost is made good, also after a crash") {
  World world;
  world.dns.fault = FakeDns::Fault::kLostAnswer;
  const auto id = world.acquire("alice");
  world.run(1);
  CHECK_FALSE(world.dns.records.empty());
  world.release(id);
  world.restart();
  world.dns.fault = FakeDns::Fault::kNone;
  world.run();
  CHECK(world.dns.records.empty());
}

TEST_CASE("dns updater: a registry that starts publishes what is missing") {
  World world(Settings{});
  world.acquire("alice");
  world.run();
  CHECK(world.dns.updates == 0);
  world.end();
  world.settings = usual_settings();
  world.start();
  world.run();
  CHECK(world.dns.records.size() == 2);
  world.end();
  world.settings = Settings{};
  world.start();
  world.run();
  CHECK(contains(world.logged.str(), "2 records were published in DNS and stay there"));
}

TEST_CASE("dns updater: a server that lost its zone is told everything again on demand") {
  World world;
  world.acquire("alice", 56, {"ns1.example.net"});
  world.run();
  const auto all = world.dns.records;
  world.dns.records.clear();
  world.run();
  CHECK(world.dns.records.empty());
  // As the command line does it: another connection.
  {
    auto other = Store::open(world.database());
    REQUIRE(other.has_value());
    REQUIRE_FALSE(other->unconfirm_dns_records());
  }
  world.run();
  CHECK(world.dns.records == all);
}

TEST_CASE("dns updater: another domain takes the old one's place") {
  World world;
  world.acquire("alice");
  world.run();
  world.end();
  world.settings.user_domain = world.settings.user_zone = "people.example.org";
  world.start();
  world.run();
  CHECK(world.dns.records == world.wanted());
  CHECK_FALSE(world.store->dns_zones().value().contains("users.example.net"));
}

TEST_CASE("dns updater: a zone that is not ours any more is given up when it refuses") {
  World world;
  world.acquire("alice");
  world.run();
  world.end();
  world.settings.user_domain.clear();
  world.settings.user_zone.clear();
  world.start();
  world.dns.fault = FakeDns::Fault::kRefusing;
  world.run(30);
  CHECK(contains(world.logged.str(), "1 records stay in the DNS zone users.example.net"));
  world.dns.fault = FakeDns::Fault::kNone;
  world.run();
  CHECK(world.store->dns_records().value().empty());
}

TEST_CASE("dns updater: a database that fails does not stop it for good, and sends nothing unrecorded") {
  World world;
  world.run();
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open(world.database().c_str(), &other) == SQLITE_OK);
  REQUIRE(sqlite3_exec(
              other, "CREATE TRIGGER broken BEFORE INSERT ON dns_records BEGIN SELECT RAISE(FAIL, 'no'); END",
              nullptr, nullptr, nullptr) == SQLITE_OK);
  world.acquire("alice");
  world.run();
  CHECK(world.dns.updates == 0);
  CHECK(contains(world.logged.str(), "names in DNS are not updated while the database fails"));
  REQUIRE(sqlite3_exec(other, "DROP TRIGGER broken", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(other);
  world.restart();
  world.run();
  CHECK(world.dns.records == world.wanted());
}

TEST_CASE("dns updater: whatever happens, in the end DNS has what the leases call for") {
  World world;
  std::mt19937 random(11);
  const std::vector<std::string> users = {"alice", "Bob", "carol@example.net", "dave"};
  std::map<std::string, std::int64_t> held;
  for (int step = 0; step < 250; ++step) {
    const auto& user = users[random() % users.size()];
    switch (random() % 6) {
      case 0:
        if (held.contains(user)) {
          world.release(held[user]);
          held.erase(user);
        }
        break;
      case 1:
        held[user] = world.acquire(user, 56 + static_cast<int>(random() % 9), {"ns1.example.net"});
        break;
      case 2:
        held[user] = world.acquire(user, 0, {"ns2.example.net", "2001:db8::53"});
        break;
      case 3:
        world.dns.fault = static_cast<FakeDns::Fault>(random() % 4);
        break;
      case 4:
        if (random() % 4 == 0) world.restart();
        break;
      default:
        break;
    }
    if (random() % 2) world.run(1);
  }
  world.dns.fault = FakeDns::Fault::kNone;
  world.run(12);
  CHECK(world.dns.records == world.wanted());
  for (const auto& [user, id] : held) world.release(id);
  world.run(12);
  CHECK(world.dns.records.empty());
  CHECK(world.store->dns_records().value().empty());
}
