// SPDX-License-Identifier: BSD-3-Clause
#include "registry/lease/group_commit.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <set>
#include <string>

#include "tests/unit/store/file_size_limit.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::registry;
using boost::system::error_code;

namespace {

constexpr WallSeconds kNow = 1700000000;

// The worker does nothing before it is told to, so that what happens meanwhile is the test's choice.
struct World {
  test::TemporaryDirectory directory;
  std::string path = directory.file("registry.db");
  boost::asio::io_context loop;
  boost::asio::io_context worker;
  Store store = open(path);
  LeaseBook book = load(store);
  GroupCommit commits{loop.get_executor(), worker.get_executor(), book, store};
  std::vector<std::string> told;

  static Store open(const std::string& at) {
    auto opened = Store::open(at, std::chrono::milliseconds(0));
    REQUIRE(opened.has_value());
    return *std::move(opened);
  }
  static LeasePolicy policy() {
    LeasePolicy made;
    made.prefix = net::Prefix::parse("2001:db8:42::/48").value();
    made.anonymous_per_address = 1 << 20;
    return made;
  }
  static LeaseBook load(Store& from) {
    auto loaded = LeaseBook::load(from, policy());
    REQUIRE(loaded.has_value());
    return *std::move(loaded);
  }
  std::int64_t acquire() {
    LeaseRequest request;
    request.outer_address = boost::asio::ip::make_address("192.0.2.1");
    const auto lease = book.acquire(request, kNow);
    REQUIRE(lease.has_value());
    return lease->id;
  }
  void commit(const std::string& name) {
    commits.commit([this, name](const error_code& error) {
      told.push_back(name + (error ? ": " + error.message() : ""));
    });
  }
  static std::size_t poll(boost::asio::io_context& io) {
    io.restart();
    return io.poll();
  }
  std::size_t durable() {
    auto other = open(path);
    return other.load_leases().value().leases.size();
  }
};
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(World, "group commit: what comes while a batch is written shares the next one") {
  acquire();
  commit("one");
  for (int i = 0; i < 10; ++i) acquire();
  commit("two");
  commit("three");
  CHECK(poll(loop) == 0);
  CHECK(told.empty());
  CHECK(poll(worker) == 1);
  CHECK(durable() == 1);
  CHECK(told.empty());  // only from the loop
  poll(loop);
  CHECK(told == Names{"one"});
  poll(worker);
  CHECK(durable() == 11);
  poll(loop);
  CHECK(told == Names{"one", "two", "three"});
  CHECK(commits.counters().batches == 2);
  CHECK(commits.counters().changes == 11);
  CHECK(commits.counters().largest == 10);
}

TEST_CASE_FIXTURE(World, "group commit: a failure is told to all whose changes went with it") {
  acquire();
  commit("one");
  acquire();
  commit("two");
  {
    const test::FileSizeLimit full(0);
    poll(worker);
  }
  acquire();
  poll(loop);
  REQUIRE(told.size() == 2);
  CHECK(told[0].starts_with("one: "));
  CHECK(told[1].starts_with("two: "));
  CHECK(book.size() == 0);
  CHECK(commits.counters().batches == 0);
  acquire();
  commit("three");
  poll(worker);
  poll(loop);
  CHECK(told.back() == "three");
  CHECK(durable() == 1);
}

TEST_CASE_FIXTURE(World, "group commit: who changed nothing is told when what it saw is durable") {
  acquire();
  commit("one");
  commit("looked");
  poll(worker);
  poll(loop);
  CHECK(told == Names{"one"});
  poll(worker);
  poll(loop);
  CHECK(told == Names{"one", "looked"});
  CHECK(commits.counters().batches == 1);
}

TEST_CASE_FIXTURE(World, "group commit: last_seen times do not hold sessions up, and all get there") {
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 7000; ++i) ids.push_back(acquire());
  REQUIRE_FALSE(commits.finish());
  for (const auto id : ids) book.touch(id, kNow + 50);
  commits.save_activity([](const error_code&) { FAIL("it does not fail"); });
  acquire();
  commit("session");
  poll(worker);
  poll(loop);
  CHECK(told.empty());
  poll(worker);
  poll(loop);
  CHECK(told == Names{"session"});
  CHECK(book.has_unwritten());
  for (int i = 0; i < 5; ++i) {
    poll(worker);
    poll(loop);
  }
  CHECK_FALSE(book.has_unwritten());
  auto other = open(path);
  const auto stored = other.load_leases().value().leases;
  REQUIRE(stored.size() == 7001);
  for (std::size_t i = 0; i < 7000; ++i) REQUIRE(stored[i].last_seen == kNow + 50);
}

TEST_CASE_FIXTURE(World, "group commit: last_seen times that cannot be written are told once and kept") {
  book.touch(acquire(), kNow + 50);
  REQUIRE_FALSE(commits.finish());
  book.touch(1, kNow + 60);
  int failures = 0;
  commits.save_activity([&](const error_code&) { ++failures; });
  {
    const test::FileSizeLimit full(0);
    poll(worker);
  }
  poll(loop);
  CHECK(failures == 1);
  CHECK(poll(worker) == 0);
  REQUIRE_FALSE(commits.finish());
  auto other = open(path);
  CHECK(other.load_leases().value().leases.at(0).last_seen == kNow + 60);
}

TEST_CASE_FIXTURE(World, "group commit: finish writes and tells everything before it returns") {
  acquire();
  commit("one");
  acquire();
  commit("two");
  REQUIRE_FALSE(commits.finish());
  CHECK(told == Names{"one", "two"});
  CHECK(durable() == 2);
  // What the worker and the loop still have of it does nothing.
  poll(worker);
  poll(loop);
  CHECK(told.size() == 2);
  REQUIRE_FALSE(commits.finish());
}

TEST_CASE("group commit: on a thread, under load, every lease that is told of is on disk") {
  World world;
  boost::asio::thread_pool threads(1);
  {
    GroupCommit commits(world.loop.get_executor(), threads.get_executor(), world.book, world.store);
    std::size_t told = 0;
    for (int i = 0; i < 2000; ++i) {
      world.acquire();
      commits.commit([&](const error_code& error) {
        CHECK_FALSE(error);
        ++told;
      });
      if (i % 50 == 0) World::poll(world.loop);
      if (i % 200 == 0) CHECK(world.durable() >= told);
    }
    REQUIRE_FALSE(commits.finish());
    CHECK(told == 2000);
    CHECK(world.durable() == 2000);
    CHECK(commits.counters().changes == 2000);
    world.acquire();
    commits.commit([](const error_code&) {});
    // It ends with a batch under way.
  }
  threads.join();
  World::poll(world.loop);
  CHECK(world.durable() == 2001);
}
