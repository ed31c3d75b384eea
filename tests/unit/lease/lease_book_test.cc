// SPDX-License-Identifier: BSD-3-Clause
#include "registry/lease/lease_book.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/store/file_size_limit.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::registry;
using sixlink::test::TemporaryDirectory;

namespace {

constexpr WallSeconds kNow = 1700000000;

LeasePolicy policy(const char* prefix = "2001:db8:42::/48") {
  LeasePolicy made;
  made.prefix = net::Prefix::parse(prefix).value();
  return made;
}

LeaseRequest request(const std::string& user, int prefix_length = 0, const char* from = "192.0.2.1") {
  return {user, LeaseMode::kV6UdpV4, boost::asio::ip::make_address(from), 4000, prefix_length, {}};
}

Store open(const std::string& path) {
  auto store = Store::open(path, std::chrono::milliseconds(0));
  REQUIRE_MESSAGE(store.has_value(), store.error().message());
  return std::move(*store);
}

void add_users(Store& store, std::initializer_list<const char*> names) {
  for (const char* name : names) REQUIRE(store.add_user({name, "sixlink", std::string(16, 'x'), 1}).value());
}

LeaseBook load(Store& store, const LeasePolicy& with = policy()) {
  auto book = LeaseBook::load(store, with);
  REQUIRE_MESSAGE(book.has_value(), book.error().message());
  return std::move(*book);
}

Lease acquire(LeaseBook& book, const LeaseRequest& what, WallSeconds now = kNow) {
  const auto lease = book.acquire(what, now);
  REQUIRE_MESSAGE(lease.has_value(), lease.error().message());
  return *lease;
}

std::string text(const Lease& lease) {
  return lease.address.to_string() + (lease.prefix ? " " + lease.prefix->to_string() : "");
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

}  // namespace

TEST_CASE("lease book: addresses start at ::2, one after the other, below the first /64") {
  Store store = open(":memory:");
  add_users(store, {"alice"});
  LeaseBook book = load(store);
  CHECK(book.broker_address().to_string() == "2001:db8:42::1");
  CHECK(text(acquire(book, request(""))) == "2001:db8:42::2");
  CHECK(text(acquire(book, request("alice"))) == "2001:db8:42::3");
  CHECK(text(acquire(book, request(""))) == "2001:db8:42::4");
  CHECK(book.size() == 3);
  CHECK(book.has_uncommitted());
  CHECK_FALSE(book.commit());
  CHECK_FALSE(book.has_uncommitted());
  CHECK_FALSE(book.commit());
}

TEST_CASE("lease book: an address just freed is not used again soon") {
  Store store = open(":memory:");
  LeaseBook book = load(store);
  const Lease first = acquire(book, request(""));
  CHECK(book.release(first.id));
  CHECK_FALSE(book.release(first.id));
  CHECK(acquire(book, request("")).address.to_string() == "2001:db8:42::3");
  CHECK(book.find(first.id) == nullptr);
}

TEST_CASE("lease book: a user has the same address and prefix every time, also after a restart") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  Lease lease;
  {
    Store store = open(path);
    add_users(store, {"alice", "bob"});
    LeaseBook book = load(store);
    acquire(book, request("bob", 64));
    lease = acquire(book, request("alice", 56));
    CHECK(text(lease) == "2001:db8:42::3 2001:db8:42:100::/56");
    LeaseRequest again = request("alice", 56, "198.51.100.9");
    again.outer_port = 5;
    again.mode = LeaseMode::kV6V4;
    const Lease moved = acquire(book, again, kNow + 5);
    CHECK(moved.id == lease.id);
    CHECK(text(moved) == text(lease));
    CHECK(moved.outer_address.to_string() == "198.51.100.9");
    CHECK(moved.outer_port == 5);
    CHECK(moved.mode == LeaseMode::kV6V4);
    CHECK(moved.created == kNow);
    CHECK(moved.last_seen == kNow + 5);
    REQUIRE_FALSE(book.commit());
    CHECK(*book.find_user("alice") == moved);
    lease = moved;
  }
  Store store = open(path);
  LeaseBook book = load(store);
  CHECK(book.skipped() == 0);
  REQUIRE(book.find_user("alice") != nullptr);
  CHECK(*book.find_user("alice") == lease);
  CHECK(text(acquire(book, request("alice", 56))) == text(lease));
  CHECK(text(acquire(book, request("alice"))) == text(lease));  // asks for none: keeps it
  CHECK(acquire(book, request("")).address.to_string() == "2001:db8:42::4");
}

TEST_CASE("lease book: another prefix length gets another prefix and the same address") {
  Store store = open(":memory:");
  add_users(store, {"alice", "bob"});
  LeaseBook book = load(store);
  CHECK(text(acquire(book, request("alice"))) == "2001:db8:42::2");
  CHECK(text(acquire(book, request("alice", 64))) == "2001:db8:42::2 2001:db8:42:1::/64");
  CHECK(text(acquire(book, request("alice", 60))) == "2001:db8:42::2 2001:db8:42:10::/60");
  CHECK(text(acquire(book, request("bob", 64))) == "2001:db8:42::3 2001:db8:42:1::/64");
}

TEST_CASE("lease book: a full pool keeps what is held, and can exchange it for what surrounds it") {
  Store store = open(":memory:");
  add_users(store, {"alice", "bob", "carol"});
  LeasePolicy small = policy("2001:db8:42:8::/62");
  small.shortest_delegation = 48;
  LeaseBook book = load(store, small);
  CHECK(text(acquire(book, request("alice", 64))) == "2001:db8:42:8::2 2001:db8:42:9::/64");
  CHECK(text(acquire(book, request("bob", 64))) == "2001:db8:42:8::3 2001:db8:42:a::/64");
  CHECK(book.acquire(request("alice", 63), kNow).error() == LeaseError::kNoPrefixLeft);
  CHECK(text(*book.find_user("alice")) == "2001:db8:42:8::2 2001:db8:42:9::/64");
  CHECK(text(acquire(book, request("bob", 63))) == "2001:db8:42:8::3 2001:db8:42:a::/63");
  CHECK(book.acquire(request("carol", 64), kNow).error() == LeaseError::kNoPrefixLeft);
  CHECK(book.find_user("carol") == nullptr);
  CHECK(text(acquire(book, request("carol"))) == "2001:db8:42:8::4");
}

TEST_CASE("lease book: prefix lengths that are not served") {
  Store store = open(":memory:");
  add_users(store, {"alice"});
  LeaseBook book = load(store);
  for (const int length : {-2, 1, 48, 55, 65, 128, 1000}) {
    CHECK(book.acquire(request("alice", length), kNow).error() == LeaseError::kPrefixLength);
  }
  CHECK(book.acquire(request("", 64), kNow).error() == LeaseError::kPrefixNotForAnonymous);
  CHECK_FALSE(book.has_uncommitted());
  CHECK(book.size() == 0);

  LeasePolicy generous = policy();
  generous.anonymous_prefix = true;
  LeaseBook other = load(store, generous);
  CHECK(text(acquire(other, request("", 64))) == "2001:db8:42::2 2001:db8:42:1::/64");
  other.rollback();

  LeasePolicy narrow = policy("2001:db8:42::/64");
  narrow.shortest_delegation = 48;
  LeaseBook single = load(store, narrow);
  CHECK(single.acquire(request("alice", 64), kNow).error() == LeaseError::kPrefixLength);
  CHECK(text(acquire(single, request("alice"))) == "2001:db8:42::2");
}

TEST_CASE("lease book: anonymous leases are new every time, bounded for each outer address") {
  Store store = open(":memory:");
  LeasePolicy strict = policy();
  strict.anonymous_per_address = 3;
  LeaseBook book = load(store, strict);
  const Lease first = acquire(book, request(""));
  CHECK(acquire(book, request("")).id != first.id);
  acquire(book, request(""));
  CHECK(book.acquire(request(""), kNow).error() == LeaseError::kTooManyForAddress);
  acquire(book, request("", 0, "192.0.2.2"));
  CHECK(book.release(first.id));
  acquire(book, request(""));
  CHECK(book.acquire(request(""), kNow).error() == LeaseError::kTooManyForAddress);
  REQUIRE_FALSE(book.commit());
  LeaseBook again = load(store, strict);
  CHECK(again.acquire(request(""), kNow).error() == LeaseError::kTooManyForAddress);
}

TEST_CASE("lease book: an anonymous lease that was never used ends early") {
  const TemporaryDirectory directory;
  Store store = open(directory.file("registry.db"));
  LeaseBook book = load(store);
  const Lease unused = acquire(book, request(""));
  const Lease used = acquire(book, request(""));
  REQUIRE_FALSE(book.commit());
  book.touch(used.id, kNow);  // in the second of its creation
  CHECK(book.expired(kNow + LeaseBook::kUnusedLifetime - 1, 10).empty());
  CHECK(book.expired(kNow + LeaseBook::kUnusedLifetime, 10) == std::vector<std::int64_t>{unused.id});
}

TEST_CASE("lease book: the stalest anonymous lease of an address is found") {
  const TemporaryDirectory directory;
  Store store = open(directory.file("registry.db"));
  add_users(store, {"alice"});
  LeaseBook book = load(store);
  const Lease user = acquire(book, request("alice"));
  const Lease old = acquire(book, request(""));
  const Lease recent = acquire(book, request(""));
  REQUIRE_FALSE(book.commit());
  book.touch(old.id, kNow + 100);
  book.touch(recent.id, kNow + 500);
  CHECK_FALSE(book.stalest_anonymous(old.outer_address, kNow + 100).has_value());
  CHECK(book.stalest_anonymous(old.outer_address, kNow + 1000) == old.id);
  CHECK_FALSE(book.stalest_anonymous(boost::asio::ip::make_address("203.0.113.77"), kNow + 1000).has_value());
}

TEST_CASE("lease book: anonymous leases expire without activity, users' do not") {
  const TemporaryDirectory directory;
  Store store = open(directory.file("registry.db"));
  add_users(store, {"alice"});
  LeaseBook book = load(store);
  const Lease user = acquire(book, request("alice"));
  const Lease quiet = acquire(book, request(""));
  const Lease active = acquire(book, request(""));
  const Lease other = acquire(book, request(""));
  REQUIRE_FALSE(book.commit());
  book.touch(active.id, kNow + 80000);
  book.touch(user.id, kNow + 80001);
  book.touch(12345, kNow);
  // Used at least once.
  book.touch(quiet.id, kNow);
  book.touch(other.id, kNow);
  CHECK(book.expired(kNow + 86400, 10).empty());
  CHECK(book.expired(kNow + 86401, 10) == std::vector<std::int64_t>{quiet.id, other.id});
  CHECK(book.expired(kNow + 86401, 1) == std::vector<std::int64_t>{quiet.id});
  CHECK_FALSE(book.has_uncommitted());
  REQUIRE_FALSE(book.commit());
  LeaseBook again = load(store);
  CHECK(again.find(active.id)->last_seen == kNow + 80000);
  CHECK(again.find_user("alice")->last_seen == kNow + 80001);
  CHECK(again.expired(kNow + 86401, 10) == std::vector<std::int64_t>{quiet.id, other.id});
}

TEST_CASE("lease book: activity that could not be written is written the next time") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  Store store = open(path);
  LeaseBook book = load(store);
  const Lease lease = acquire(book, request(""));
  REQUIRE_FALSE(book.commit());
  book.touch(lease.id, kNow + 9);
  {
    const Lock lock(path);
    CHECK(book.commit().message() == "database is locked");
    CHECK_FALSE(book.has_uncommitted());
    CHECK(book.has_unwritten());
  }
  CHECK_FALSE(book.commit());
  CHECK_FALSE(book.has_unwritten());
  CHECK(load(store).find(lease.id)->last_seen == kNow + 9);
}

TEST_CASE("lease book: a user deleted from the command line") {
  const TemporaryDirectory directory;
  Store store = open(directory.file("registry.db"));
  Store other = open(directory.file("registry.db"));
  add_users(store, {"alice", "bob"});
  LeaseBook book = load(store);
  const Lease alice = acquire(book, request("alice", 64));
  acquire(book, request("bob"));
  acquire(book, request(""));
  REQUIRE_FALSE(book.commit());
  CHECK(book.orphaned().value().empty());
  REQUIRE(other.delete_user("alice").value());
  CHECK(book.orphaned().value() == std::vector<std::int64_t>{alice.id});
  book.touch(alice.id, kNow + 1);
  CHECK_FALSE(book.commit());
  CHECK(book.release(alice.id));
  CHECK_FALSE(book.commit());
  CHECK(book.orphaned().value().empty());
  CHECK(load(store).size() == 2);
  // A new lease, and one that is not noticed to be no more, cost only their own request of a batch.
  const Lease late = acquire(book, request("alice"));
  const Lease other_one = acquire(book, request(""));
  CHECK(book.orphaned().value().empty());  // not durable yet is something else
  CHECK_FALSE(book.commit());
  CHECK(book.lacked_user(late.id));
  CHECK_FALSE(book.lacked_user(other_one.id));
  CHECK(book.find_user("alice") == nullptr);
  CHECK(load(store).all() == book.all());
  const Lease bob = *book.find_user("bob");
  REQUIRE(other.delete_user("bob").value());
  acquire(book, request(""));
  CHECK(acquire(book, request("bob"), kNow + 1).id == bob.id);
  CHECK_FALSE(book.commit());
  CHECK(book.lacked_user(bob.id));
  CHECK(book.find(bob.id) == nullptr);
  CHECK(load(store).all() == book.all());
  CHECK(book.size() == 3);
}

TEST_CASE("lease book: leases that cannot be served stay in the store and are counted") {
  Store store = open(":memory:");
  add_users(store, {"alice"});
  auto put = [&, id = 1](const char* user, const char* address, const char* prefix) mutable {
    Lease lease;
    lease.id = id++;
    lease.user = user;
    lease.address = net::parse_v6(address).value();
    if (*prefix != '\0') lease.prefix = net::Prefix::parse(prefix).value();
    REQUIRE_FALSE(store.put_lease(lease));
  };
  put("alice", "2001:db8:42::7", "2001:db8:42:100::/56");
  put("", "2001:db8:42::7", "");                      // the address is held
  put("", "2001:db8:42::8", "2001:db8:42:120::/60");  // within alice's prefix
  put("", "2001:db8:42::8", "2001:db8:42::/56");      // around the tunnels
  put("", "2001:db8:42::8", "2001:db8:43::/56");      // not ours
  put("", "2001:db8:43::8", "");                      // not ours
  put("", "2001:db8:42:1::8", "");                    // not in the tunnels' /64
  put("", "2001:db8:42::", "");                       // anycast
  put("", "2001:db8:42::1", "");                      // the broker
  put("", "2001:db8:42::11:0", "");                   // beyond the identifiers given out
  put("", "2001:db8:42:0:1::8", "");
  put("alice", "2001:db8:42::9", "");  // a second lease
  put("", "2001:db8:42::10:0", "");    // the last identifier
  LeaseBook book = load(store);
  CHECK(book.size() == 2);
  CHECK(book.skipped() == 11);
  CHECK(text(*book.find_user("alice")) == "2001:db8:42::7 2001:db8:42:100::/56");
  // After the last identifier comes the first; ids do not collide with those of leases left out.
  const Lease next = acquire(book, request(""));
  CHECK(next.address.to_string() == "2001:db8:42::2");
  CHECK(next.id == 14);
  REQUIRE_FALSE(book.commit());
  CHECK(store.lease_ids().value().size() == 14);
}

TEST_CASE("lease book: wraps around and ends when every identifier is held") {
  Store store = open(":memory:");
  LeasePolicy few = policy();
  few.last_identifier = 20;
  LeaseBook book = load(store, few);
  std::set<std::string> seen;
  for (int i = 2; i <= 20; ++i) seen.insert(text(acquire(book, request(""))));
  CHECK(seen.size() == 19);
  CHECK(seen.count("2001:db8:42::14") == 1);
  CHECK(book.acquire(request(""), kNow).error() == LeaseError::kNoAddressLeft);
  CHECK(book.release(5));
  CHECK(book.release(3));
  CHECK(text(acquire(book, request(""))) == "2001:db8:42::4");
  CHECK(text(acquire(book, request(""))) == "2001:db8:42::6");
  CHECK(book.acquire(request(""), kNow).error() == LeaseError::kNoAddressLeft);
}

TEST_CASE("lease book: rollback takes the whole batch back, but not that a client was heard") {
  Store store = open(":memory:");
  add_users(store, {"alice"});
  LeaseBook book = load(store);
  const Lease alice = acquire(book, request("alice", 64));
  REQUIRE_FALSE(book.commit());
  const auto before = book.all();
  acquire(book, request("alice", 60, "198.51.100.1"), kNow + 3);
  acquire(book, request(""));
  CHECK(book.release(alice.id));
  book.rollback();
  CHECK(book.all() == before);
  CHECK(load(store).all() == before);
  CHECK(book.find_user("alice")->id == alice.id);

  acquire(book, request("alice"), kNow + 3);
  book.touch(alice.id, kNow + 4);
  book.rollback();
  CHECK(book.find(alice.id)->last_seen == kNow + 4);
}

TEST_CASE("lease book: what is changed while a batch is written goes into the next one") {
  const TemporaryDirectory directory;
  Store store = open(directory.file("registry.db"));
  add_users(store, {"alice"});
  LeaseBook book = load(store);
  const Lease first = acquire(book, request("alice", 64));
  auto batch = book.take_batch();
  CHECK(book.is_under_way());
  const Lease second = acquire(book, request(""));
  CHECK(book.release(first.id));
  CHECK(load(store).size() == 0);
  book.written(LeaseBook::write(store, batch));
  CHECK(book.has_uncommitted());
  CHECK(load(store).all() == std::vector<Lease>{first});
  batch = book.take_batch();
  acquire(book, request(""));
  SUBCASE("and is undone with it when that fails") {
    book.written({{SQLITE_FULL, store_category()}, {}});
    CHECK(book.all() == std::vector<Lease>{first});
    CHECK_FALSE(book.has_uncommitted());
    CHECK(book.take_batch().is_empty());
  }
  SUBCASE("and becomes durable after it") {
    book.written(LeaseBook::write(store, batch));
    CHECK(load(store).all() == std::vector<Lease>{second});
    CHECK_FALSE(book.commit());
    CHECK(load(store).all() == book.all());
    CHECK(book.size() == 2);
  }
}

TEST_CASE("lease book: a user deleted while two batches have its lease") {
  const TemporaryDirectory directory;
  Store store = open(directory.file("registry.db"));
  Store other = open(directory.file("registry.db"));
  add_users(store, {"alice"});
  LeaseBook book = load(store);
  const Lease alice = acquire(book, request("alice"));
  const auto batch = book.take_batch();
  REQUIRE(other.delete_user("alice").value());
  acquire(book, request("alice"), kNow + 1);
  book.written(LeaseBook::write(store, batch));
  CHECK(book.lacked_user(alice.id));
  CHECK(book.size() == 0);
  SUBCASE("the second is refused as well") {
    CHECK_FALSE(book.commit());
  }
  SUBCASE("the second does not bring it back when it fails") {
    book.rollback();
  }
  CHECK(book.size() == 0);
  CHECK(load(store).size() == 0);
}

TEST_CASE("lease book: last_seen times of many leases are written in parts") {
  const TemporaryDirectory directory;
  Store store = open(directory.file("registry.db"));
  LeasePolicy many = policy();
  many.anonymous_per_address = 10000;
  LeaseBook book = load(store, many);
  for (int i = 0; i < 5000; ++i) acquire(book, request(""));
  REQUIRE_FALSE(book.commit());
  for (const auto& [id, lease] : book.leases()) book.touch(id, kNow + 7);
  const auto batch = book.take_batch();
  CHECK(batch.writes.empty());
  CHECK(batch.last_seen.size() < 5000);
  // What is heard meanwhile is not lost, whatever becomes of it.
  book.touch(batch.last_seen.front().first, kNow + 9);
  book.written({{SQLITE_FULL, store_category()}, {}});
  REQUIRE_FALSE(book.commit());
  const auto stored = load(store, many).all();
  CHECK(stored == book.all());
  CHECK(std::all_of(stored.begin(), stored.end(), [](const Lease& l) { return l.last_seen >= kNow + 7; }));
  CHECK(book.find(batch.last_seen.front().first)->last_seen == kNow + 9);
}

TEST_CASE("lease book: a failed commit restores the book and the store exactly, over random batches") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  Store store = open(path);
  std::vector<std::string> users;
  for (int i = 0; i < 20; ++i) {
    users.push_back("user" + std::to_string(i));
    REQUIRE(store.add_user({users.back(), "sixlink", std::string(16, 'x'), 1}).value());
  }
  LeasePolicy tight = policy("2001:db8:42::/58");  // full now and then
  tight.anonymous_prefix = true;
  tight.anonymous_per_address = 12;
  tight.shortest_delegation = 59;
  LeaseBook book = load(store, tight);
  // The oracle: the last committed content, and what a book loaded from the store says.
  std::vector<Lease> committed;
  std::mt19937 random(20240602);
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  const auto operate = [&](WallSeconds now) -> boost::system::error_code {
    const auto leases = book.all();
    if (below(4) == 0 && !leases.empty()) {
      CHECK(book.release(leases[below(leases.size())].id));
      return {};
    }
    const int lengths[] = {0, 0, 59, 60, 61, 62, 63, 64, 64, 64};
    const std::string user = below(3) == 0 ? "" : users[below(users.size())];
    const auto from = "192.0.2." + std::to_string(below(4));
    const auto lease = book.acquire(request(user, lengths[below(std::size(lengths))], from.c_str()), now);
    if (lease) {
      CHECK(book.find(lease->id) != nullptr);
      CHECK(*book.find(lease->id) == *lease);
    }
    return lease ? boost::system::error_code() : lease.error();
  };
  int locked = 0;
  int full_disk = 0;
  int rolled_back = 0;
  for (int batch = 0; batch < 600; ++batch) {
    const WallSeconds now = kNow + batch;
    const std::size_t kind = below(4);
    boost::system::error_code error;
    if (kind == 0) {  // the database is locked
      const Lock lock(path);
      for (std::size_t i = 0; i < 5; ++i) operate(now);
      const bool has_changes = book.has_uncommitted();
      error = book.commit();
      CHECK(has_changes == (error.message() == "database is locked"));
      if (error) ++locked;
    } else if (kind == 1) {  // the disk is full at some write of the commit
      for (std::size_t i = 0; i < 1 + below(10); ++i) operate(now);
      const test::FileSizeLimit full(4096 * below(3));
      error = book.commit();
      if (error) ++full_disk;
    } else {
      for (std::size_t i = 0; i < 1 + below(10); ++i) operate(now);
      if (kind == 2) {
        book.rollback();
        ++rolled_back;
      } else {
        error = book.commit();
        CHECK_FALSE(error);
      }
    }
    CHECK_FALSE(book.has_uncommitted());
    if (kind == 3 || (kind == 1 && !error)) committed = book.all();
    REQUIRE(book.all() == committed);
    const LeaseBook stored = load(store, tight);
    REQUIRE(stored.all() == committed);
    REQUIRE(stored.skipped() == 0);
    // Every user is found by name, and nobody else is.
    for (const auto& user : users) {
      const auto held =
          std::find_if(committed.begin(), committed.end(), [&](const Lease& l) { return l.user == user; });
      REQUIRE((book.find_user(user) != nullptr) == (held != committed.end()));
    }
  }
  CHECK(locked > 100);
  CHECK(full_disk > 50);
  CHECK(rolled_back > 100);
  // Address, pool and quota are as free as the content says: with everything released, everything can be had
  // again.
  for (const Lease& lease : book.all()) REQUIRE(book.release(lease.id));
  CHECK(acquire(book, request("user1", 59)).prefix->to_string() == "2001:db8:42:20::/59");
  CHECK(acquire(book, request("user2", 60)).prefix->to_string() == "2001:db8:42:10::/60");
  for (int i = 0; i < 12; ++i) acquire(book, request("", 0, "192.0.2.1"));
}

namespace {

LeasePolicy policy_v4(const char* prefix = "203.0.113.0/24") {
  auto made = policy();
  made.prefix_v4 = net::PrefixV4::parse(prefix).value();
  return made;
}

LeaseRequest request_v4(const std::string& user, int prefix_length = 0, const char* from = "2001:db8:7::1") {
  LeaseRequest made;
  made.user = user;
  made.mode = LeaseMode::kV4V6;
  made.outer_address = boost::asio::ip::make_address(from);
  made.prefix_length = prefix_length;
  return made;
}

}  // namespace

TEST_CASE("lease book: IPv4 addresses come from their own pool, without first, broker's and last") {
  Store store = open(":memory:");
  LeaseBook book = load(store, policy_v4("203.0.113.0/29"));
  CHECK(book.broker_address_v4().to_string() == "203.0.113.1");
  CHECK(load(store).broker_address_v4().is_unspecified());
  std::set<std::string> given;
  for (int i = 0; i < 5; ++i) given.insert(text(acquire(book, request_v4(""))));
  CHECK(given == std::set<std::string>{"::ffff:203.0.113.2", "::ffff:203.0.113.3", "::ffff:203.0.113.4",
                                       "::ffff:203.0.113.5", "::ffff:203.0.113.6"});
  CHECK(book.acquire(request_v4(""), kNow).error() == LeaseError::kNoAddressLeft);
  CHECK(text(acquire(book, request(""))) == "2001:db8:42::2");  // IPv6 has its own
  CHECK(book.commit() == boost::system::error_code());
  CHECK(book.release(book.leases().begin()->first));
  CHECK(book.acquire(request_v4(""), kNow).has_value());
}

TEST_CASE("lease book: without an IPv4 pool there is nothing to give") {
  Store store = open(":memory:");
  LeaseBook book = load(store);
  CHECK(book.acquire(request_v4(""), kNow).error() == LeaseError::kNoAddressLeft);
  CHECK(book.acquire(request_v4("", 29), kNow).error() == LeaseError::kNoAddressLeft);
}

TEST_CASE("lease book: a user's IPv4 and IPv6 leases are two, and survive a restart") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  Lease four;
  Lease six;
  {
    Store store = open(path);
    add_users(store, {"alice"});
    LeaseBook book = load(store, policy_v4());
    six = acquire(book, request("alice", 56));
    four = acquire(book, request_v4("alice", 29));
    CHECK(text(four) == "::ffff:203.0.113.254 ::ffff:203.0.113.8/125");
    CHECK(four.id != six.id);
    CHECK(acquire(book, request_v4("alice")).prefix == four.prefix);
    REQUIRE_FALSE(book.commit());
  }
  Store store = open(path);
  LeaseBook book = load(store, policy_v4());
  CHECK(book.skipped() == 0);
  CHECK(*book.find_user("alice", LeaseMode::kV4V6) == *book.find(four.id));
  CHECK(book.find_user("alice")->address == six.address);
  CHECK(book.find(four.id)->mode == LeaseMode::kV4V6);
  CHECK(text(*book.find(four.id)) == text(four));
  // Taken: not given to others.
  CHECK(text(acquire(book, request_v4(""))) == "::ffff:203.0.113.2");
  // Without the pool the lease waits in the store.
  REQUIRE_FALSE(book.commit());
  LeaseBook without = load(store);
  CHECK(without.skipped() == 2);
  CHECK(without.find_user("alice", LeaseMode::kV4V6) == nullptr);
  CHECK(without.find_user("alice") != nullptr);
}

TEST_CASE("lease book: IPv4 prefix lengths that are served") {
  Store store = open(":memory:");
  add_users(store, {"alice", "bob"});
  auto with = policy_v4();
  with.longest_delegation_v4 = 31;
  LeaseBook book = load(store, with);
  CHECK(book.acquire(request_v4("alice", 28), kNow).error() == LeaseError::kPrefixLength);
  CHECK(book.acquire(request_v4("alice", 32), kNow).error() == LeaseError::kPrefixLength);
  CHECK(book.acquire(request_v4("alice", 64), kNow).error() == LeaseError::kPrefixLength);
  CHECK(book.acquire(request_v4("", 29), kNow).error() == LeaseError::kPrefixNotForAnonymous);
  CHECK(acquire(book, request_v4("alice", LeaseRequest::kAnyLength)).prefix->length == 126);
  CHECK(acquire(book, request_v4("alice", 31)).prefix->length == 127);
  CHECK(acquire(book, request_v4("alice", LeaseRequest::kAnyLength)).prefix->length == 127);
  CHECK(acquire(book, request("bob", LeaseRequest::kAnyLength)).prefix->length == 64);
}

TEST_CASE("lease book: an IPv4 prefix never holds an address that is given") {
  Store store = open(":memory:");
  auto with = policy_v4("203.0.113.0/27");
  with.anonymous_prefix = true;
  LeaseBook book = load(store, with);
  std::mt19937 random(5);
  std::vector<Lease> held;
  for (int round = 0; round < 2000; ++round) {
    if (held.empty() || random() % 2 == 0) {
      const int length = random() % 3 == 0 ? 0 : 29 + static_cast<int>(random() % 4);
      const auto lease = book.acquire(request_v4("", length), kNow);
      if (lease) held.push_back(*lease);
    } else {
      const auto gone = held.begin() + static_cast<std::ptrdiff_t>(random() % held.size());
      REQUIRE(book.release(gone->id));
      held.erase(gone);
    }
    std::vector<net::Prefix> blocks{{book.broker_address(), 128}};
    for (const char* own : {"::ffff:203.0.113.0", "::ffff:203.0.113.1", "::ffff:203.0.113.31"})
      blocks.push_back({net::parse_v6(own).value(), 128});
    for (const auto& lease : held) {
      blocks.push_back({lease.address, 128});
      if (lease.prefix) blocks.push_back(*lease.prefix);
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      for (std::size_t j = i + 1; j < blocks.size(); ++j)
        REQUIRE_FALSE((blocks[i].contains(blocks[j]) || blocks[j].contains(blocks[i])));
    }
  }
}
