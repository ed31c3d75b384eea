// SPDX-License-Identifier: BSD-3-Clause
#include "registry/store/store.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/unit/store/file_size_limit.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::registry;
using sixlink::test::TemporaryDirectory;

namespace {

// A second program with the same file.
class Shell {
 public:
  explicit Shell(const std::string& path) { REQUIRE(sqlite3_open(path.c_str(), &database_) == SQLITE_OK); }
  ~Shell() { sqlite3_close(database_); }
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;
  int run(const char* sql) { return sqlite3_exec(database_, sql, nullptr, nullptr, nullptr); }
  std::int64_t number(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    REQUIRE(sqlite3_prepare_v2(database_, sql, -1, &statement, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
    const auto value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
  }

 private:
  sqlite3* database_ = nullptr;
};

Store open(const std::string& path) {
  auto store = Store::open(path, std::chrono::milliseconds(20));
  REQUIRE_MESSAGE(store.has_value(), store.error().message());
  return std::move(*store);
}

User alice() {
  return {"alice", "sixlink", std::string("\0\x01\xff'0123456789ab", 16), 1700000000};
}

Lease lease(std::int64_t id, const std::string& user) {
  Lease made;
  made.id = id;
  made.user = user;
  made.address = *net::parse_v6("2001:db8:42::" + std::to_string(id + 1));
  made.prefix = net::Prefix::parse("2001:db8:42:100::/56");
  made.mode = LeaseMode::kV6V4;
  made.outer_address = boost::asio::ip::make_address("192.0.2.7");
  made.outer_port = 65535;
  made.created = 1700000001;
  made.last_seen = 1700000002;
  return made;
}

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

}  // namespace

TEST_CASE("store: users are added, found, listed, changed and deleted") {
  Store store = open(":memory:");
  CHECK(store.find_user("alice").value() == std::nullopt);
  CHECK(store.add_user(alice()).value());
  CHECK_FALSE(store.add_user(alice()).value());
  const auto found = store.find_user("alice").value();
  REQUIRE(found);
  CHECK(found->name == "alice");
  CHECK(found->realm == "sixlink");
  CHECK(found->ha1 == alice().ha1);
  CHECK(found->created == 1700000000);
  CHECK(store.set_password("alice", "other", std::string(16, 'x')).value());
  CHECK(store.find_user("alice").value()->realm == "other");
  CHECK(store.find_user("alice").value()->created == 1700000000);
  CHECK_FALSE(store.set_password("bob", "other", std::string(16, 'x')).value());
  CHECK(store.add_user({"aaron", "sixlink", std::string(16, 'y'), 1}).value());
  const auto users = store.list_users().value();
  REQUIRE(users.size() == 2);
  CHECK(users[0].name == "aaron");
  CHECK(store.delete_user("alice").value());
  CHECK_FALSE(store.delete_user("alice").value());
  CHECK(store.find_user("alice").value() == std::nullopt);
}

TEST_CASE("store: SQL in a name is a name") {
  Store store = open(":memory:");
  const std::string name = "x'; DROP TABLE users; --";
  CHECK(store.add_user({name, "sixlink", std::string(16, 'y'), 1}).value());
  CHECK(store.find_user(name).value());
  CHECK(store.list_users().value().size() == 1);
}

TEST_CASE("store: leases come back as they were written, also from the file") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  Lease plain;
  plain.id = 3;
  plain.address = *net::parse_v6("2001:db8:42::9");
  {
    Store store = open(path);
    REQUIRE(store.add_user(alice()).value());
    REQUIRE_FALSE(store.put_lease(lease(1, "alice")));
    REQUIRE_FALSE(store.put_lease(plain));
  }
  Store store = open(path);
  auto loaded = store.load_leases().value();
  CHECK(loaded.corrupt == 0);
  CHECK(loaded.highest_id == 3);
  REQUIRE(loaded.leases.size() == 2);
  CHECK(loaded.leases[0] == lease(1, "alice"));
  CHECK(loaded.leases[1] == plain);

  Lease moved = lease(1, "alice");
  moved.outer_port = 1;
  moved.prefix.reset();
  REQUIRE_FALSE(store.put_lease(moved));
  REQUIRE_FALSE(store.put_last_seen(3, 77));
  REQUIRE_FALSE(store.put_last_seen(4, 77));
  loaded = store.load_leases().value();
  REQUIRE(loaded.leases.size() == 2);
  CHECK(loaded.leases[0] == moved);
  CHECK(loaded.leases[1].last_seen == 77);
  CHECK(store.lease_ids().value() == std::vector<std::int64_t>{1, 3});

  REQUIRE_FALSE(store.delete_lease(3));
  REQUIRE_FALSE(store.delete_lease(3));
  CHECK(store.delete_user("alice").value());
  CHECK(store.lease_ids().value().empty());
}

TEST_CASE("store: a lease of a user who does not exist is refused and the transaction goes on") {
  Store store = open(":memory:");
  REQUIRE_FALSE(store.begin());
  CHECK(store.put_lease(lease(1, "nobody")).value() == SQLITE_CONSTRAINT_FOREIGNKEY);
  CHECK_FALSE(store.put_lease(lease(2, "")));
  CHECK_FALSE(store.commit());
  CHECK(store.lease_ids().value() == std::vector<std::int64_t>{2});
}

TEST_CASE("store: a rolled back transaction leaves nothing") {
  Store store = open(":memory:");
  REQUIRE_FALSE(store.begin());
  REQUIRE_FALSE(store.put_lease(lease(1, "")));
  store.rollback();
  CHECK(store.lease_ids().value().empty());
  store.rollback();  // outside a transaction: nothing to do
  REQUIRE_FALSE(store.begin());
  CHECK(store.begin());  // one at a time
  CHECK_FALSE(store.commit());
}

TEST_CASE("store: the files are the owner's alone") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  const mode_t before = ::umask(0);
  {
    Store store = open(path);
    REQUIRE_FALSE(store.put_lease(lease(1, "")));
    CHECK(mode_of(path) == 0600);
    CHECK(mode_of(path + "-wal") == 0600);
    CHECK(mode_of(path + "-shm") == 0600);
  }
  std::filesystem::permissions(path, std::filesystem::perms(0644));
  Store store = open(path);
  CHECK(mode_of(path) == 0600);
  ::umask(before);
}

TEST_CASE("store: the journal survives a crash and commits reach the disk") {
  const TemporaryDirectory directory;
  Store store = open(directory.file("registry.db"));
  REQUIRE_FALSE(store.put_lease(lease(1, "")));
  // What a machine that loses power keeps: the files as they are, no connection closed.
  std::filesystem::copy_file(directory.file("registry.db"), directory.file("copy.db"));
  std::filesystem::copy_file(directory.file("registry.db-wal"), directory.file("copy.db-wal"));
  Store copy = open(directory.file("copy.db"));
  CHECK(copy.lease_ids().value() == std::vector<std::int64_t>{1});
}

TEST_CASE("store: refuses what is not its database, and leaves it unchanged") {
  const TemporaryDirectory directory;
  SUBCASE("a text file") {
    const std::string path = directory.file("text");
    const std::string text(5000, 'x');
    std::ofstream(path) << text;
    const auto store = Store::open(path);
    REQUIRE_FALSE(store.has_value());
    CHECK(store.error().message() == "file is not a database");
    std::ifstream file(path);
    CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == text);
  }
  SUBCASE("another program's database") {
    const std::string path = directory.file("other.db");
    CHECK(Shell(path).run("CREATE TABLE recipes (name TEXT)") == SQLITE_OK);
    const auto store = Store::open(path);
    REQUIRE_FALSE(store.has_value());
    CHECK(store.error() == boost::system::error_code(kStoreForeign, store_category()));
    CHECK(Shell(path).run("INSERT INTO users VALUES (1, 2, 3, 4)") == SQLITE_ERROR);
  }
  SUBCASE("a newer version") {
    const std::string path = directory.file("newer.db");
    { Store store = open(path); }
    CHECK(Shell(path).run("PRAGMA user_version = 999") == SQLITE_OK);
    const auto store = Store::open(path);
    REQUIRE_FALSE(store.has_value());
    CHECK(store.error().message().find("newer sixlink-registry") != std::string::npos);
  }
  SUBCASE("a directory") {
    const auto store = Store::open(directory.file("."));
    REQUIRE_FALSE(store.has_value());
    CHECK(store.error() == boost::system::errc::is_a_directory);
  }
  SUBCASE("a path that is not there") {
    const auto store = Store::open(directory.file("missing/registry.db"));
    REQUIRE_FALSE(store.has_value());
    CHECK(store.error() == boost::system::errc::no_such_file_or_directory);
  }
}

TEST_CASE("store: an empty file becomes a database") {
  const TemporaryDirectory directory;
  std::ofstream(directory.file("empty"));
  CHECK(open(directory.file("empty")).lease_ids().value().empty());
}

TEST_CASE("store: rows that make no sense are left out and counted") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  { Store store = open(path); }
  const char* const rows[] = {
      "7, NULL, '2001:db8:42::8', NULL, 'v6udpv4', '192.0.2.1', 5, 1, 1",  // the good one
      "8, NULL, 'not an address', NULL, 'v6udpv4', '', 5, 1, 1",
      "9, NULL, '2001:db8:42::8', '2001:db8::1/56', 'v6udpv4', '', 5, 1, 1",  // host bits
      "10, NULL, '2001:db8:42::8', NULL, 'pigeon', '', 5, 1, 1",
      "11, NULL, '2001:db8:42::8', NULL, 'v6udpv4', '192.0.2.256', 5, 1, 1",
      "12, NULL, '2001:db8:42::8', NULL, 'v6udpv4', '', 65536, 1, 1",
      "13, NULL, '2001:db8:42::8', NULL, 'v6udpv4', '', 'many', 1, 1",
      "14, NULL, '2001:db8:42::8', NULL, 'v6udpv4', '', 5, -9223372036854775808, 1",
      "15, NULL, '2001:db8:42::8', NULL, 'v6udpv4', '', 5, 1, 9223372036854775807",
      "16, '', '2001:db8:42::8', NULL, 'v6udpv4', '', 5, 1, 1",
      "9223372036854775807, NULL, '2001:db8:42::8', NULL, 'v6udpv4', '', 5, 1, 1",
      "-5, NULL, '2001:db8:42::8', NULL, 'v6udpv4', '', 5, 1, 1",
      "17, NULL, x'00ff', NULL, 'v6udpv4', '', 5, 1, 1",
  };
  Shell shell(path);
  for (const char* row : rows) {
    CHECK(shell.run((std::string("INSERT INTO leases (id, user, address, prefix, mode, outer_address,"
                                 " outer_port, created, last_seen) VALUES (") +
                     row + ")")
                        .c_str()) == SQLITE_OK);
  }
  Store store = open(path);
  const auto loaded = store.load_leases().value();
  REQUIRE(loaded.leases.size() == 1);
  CHECK(loaded.leases[0].id == 7);
  CHECK(loaded.corrupt == std::size(rows) - 1);
  CHECK(loaded.highest_id == 17);
}

TEST_CASE("store: a database that another process locks is an error, and is usable afterwards") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  Store store = open(path);
  Shell shell(path);
  REQUIRE(shell.run("BEGIN IMMEDIATE") == SQLITE_OK);
  auto error = store.begin();
  CHECK((error.value() & 0xff) == SQLITE_BUSY);
  CHECK(error.message() == "database is locked");
  CHECK(store.put_lease(lease(1, "")).message() == "database is locked");
  CHECK(store.load_leases().value().leases.empty());  // readers do not wait
  REQUIRE(shell.run("COMMIT") == SQLITE_OK);
  CHECK_FALSE(store.begin());
  CHECK_FALSE(store.put_lease(lease(1, "")));
  CHECK_FALSE(store.commit());
}

TEST_CASE("store: a full disk is an error, and what was committed stays") {
  const TemporaryDirectory directory;
  Store store = open(directory.file("registry.db"));
  REQUIRE_FALSE(store.put_lease(lease(1, "")));
  {
    const test::FileSizeLimit full(100'000);
    boost::system::error_code error = store.begin();
    Lease more = lease(2, "");
    for (; more.id < 5000 && !error; ++more.id) error = store.put_lease(more);
    if (!error) error = store.commit();
    REQUIRE(error);
    CHECK(error.category() == store_category());
    const bool told = error.message() == "database or disk is full" || error.message() == "disk I/O error";
    CHECK_MESSAGE(told, error.message());
    store.rollback();
  }
  CHECK(store.lease_ids().value() == std::vector<std::int64_t>{1});
  REQUIRE_FALSE(store.begin());
  CHECK_FALSE(store.put_lease(lease(2, "")));
  CHECK_FALSE(store.commit());
  CHECK(store.lease_ids().value() == std::vector<std::int64_t>{1, 2});
}

TEST_CASE("store: a file that may not be written is refused at once") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  { Store store = open(path); }
  std::filesystem::permissions(path, std::filesystem::perms(0400));
  // Root may write everything; nobody may not.
  constexpr uid_t kNobody = 65534;
  const bool is_root = ::geteuid() == 0;
  if (is_root) {
    REQUIRE(::chown(directory.file("").c_str(), kNobody, static_cast<gid_t>(-1)) == 0);
    REQUIRE(::chown(path.c_str(), kNobody, static_cast<gid_t>(-1)) == 0);
    REQUIRE(::seteuid(kNobody) == 0);
  }
  const auto store = Store::open(path);
  if (is_root) REQUIRE(::seteuid(0) == 0);
  REQUIRE_FALSE(store.has_value());
  CHECK(store.error().message() == "attempt to write a readonly database");
}

TEST_CASE("store: a v4v6 lease comes back as it was, and one of the wrong family is corrupt") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  Lease four;
  four.id = 1;
  four.mode = LeaseMode::kV4V6;
  four.address = *net::parse_v6("::ffff:203.0.113.2");
  four.prefix = net::v4_mapped(*net::PrefixV4::parse("203.0.113.8/29"));
  four.outer_address = boost::asio::ip::make_address("2001:db8::7");
  {
    Store store = open(path);
    REQUIRE_FALSE(store.put_lease(four));
    CHECK(store.load_leases().value().leases == std::vector{four});
    for (std::int64_t id = 2; id < 6; ++id) {
      auto wrong = four;
      wrong.id = id;
      if (id == 2) wrong.address = *net::parse_v6("2001:db8:42::2");
      if (id == 3) wrong.prefix = net::Prefix::parse("2001:db8:42:100::/56");
      if (id == 4) wrong.mode = LeaseMode::kV6UdpV4;
      if (id == 5) wrong.prefix = net::Prefix{net::AddressV6(), 0};
      REQUIRE_FALSE(store.put_lease(wrong));
    }
    const auto loaded = store.load_leases().value();
    CHECK(loaded.leases == std::vector{four});
    CHECK(loaded.corrupt == 4);
  }
}

TEST_CASE("store: a database of version 2 is upgraded, and its leases stay") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  {
    Store store = open(path);
    REQUIRE_FALSE(store.put_lease(lease(1, "")));
  }
  // Version 3 changed no table, version 4 added to one.
  CHECK(Shell(path).run("DROP INDEX leases_wireguard_key;"
                        "ALTER TABLE leases DROP COLUMN wireguard_key;"
                        "ALTER TABLE leases DROP COLUMN address_v4;"
                        "PRAGMA user_version = 2") == SQLITE_OK);
  for (int opening = 0; opening < 2; ++opening) {
    Store store = open(path);
    CHECK(store.load_leases().value().leases == std::vector{lease(1, "")});
  }
  // Whoever only knows version 2 refuses it now: it is newer.
  CHECK(Shell(path).number("PRAGMA user_version") == 4);
}
