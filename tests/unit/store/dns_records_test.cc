// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <string>

#include "registry/store/store.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::registry;
using sixlink::test::TemporaryDirectory;

namespace {

Store open(const std::string& path) {
  auto store = Store::open(path, std::chrono::milliseconds(20));
  REQUIRE_MESSAGE(store.has_value(), store.error().message());
  return std::move(*store);
}

const DnsRecord kName{"users.example.net", "alice.users.example.net", "AAAA", "2001:db8:42::2"};
const DnsRecord kDelegation{"2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "1.0.0.0.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
                            "NS", "ns1.example.net"};

void run(const std::string& path, const char* sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  CHECK(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}

}  // namespace

TEST_CASE("store: published records come back as they were written, also from the file") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  {
    Store store = open(path);
    CHECK(store.dns_records().value().empty());
    REQUIRE_FALSE(store.put_dns_record(kName, {600, false}));
    REQUIRE_FALSE(store.put_dns_record(kDelegation, {600, true}));
  }
  Store store = open(path);
  CHECK(store.dns_records().value() == DnsRecords{{kName, {600, false}}, {kDelegation, {600, true}}});
  REQUIRE_FALSE(store.put_dns_record(kName, {300, true}));
  CHECK(store.dns_records().value().at(kName) == DnsRecordState{300, true});
  REQUIRE_FALSE(store.unconfirm_dns_records());
  CHECK_FALSE(store.dns_records().value().at(kDelegation).is_confirmed);
  CHECK_FALSE(store.dns_records().value().at(kName).is_confirmed);
  REQUIRE_FALSE(store.delete_dns_record(kName));
  CHECK(store.dns_records().value().size() == 1);
}

TEST_CASE("store: how updates of a zone went") {
  Store store = open(":memory:");
  CHECK(store.dns_zones().value().empty());
  REQUIRE_FALSE(store.put_dns_zone("users.example.net", {100, 50, ""}));
  REQUIRE_FALSE(store.put_dns_zone("users.example.net", {100, 200, "update failed: REFUSED"}));
  const auto zones = store.dns_zones().value();
  REQUIRE(zones.size() == 1);
  CHECK(zones.at("users.example.net").last_success == 100);
  CHECK(zones.at("users.example.net").last_failure == 200);
  CHECK(zones.at("users.example.net").problem == "update failed: REFUSED");
  REQUIRE_FALSE(store.delete_dns_zone("users.example.net"));
  CHECK(store.dns_zones().value().empty());
}

TEST_CASE("store: data_version tells of other processes' changes only") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  Store store = open(path);
  const auto before = store.data_version().value();
  REQUIRE_FALSE(store.put_dns_record(kName, {600, true}));
  CHECK(store.data_version().value() == before);
  REQUIRE_FALSE(open(path).unconfirm_dns_records());
  CHECK(store.data_version().value() != before);
}

TEST_CASE("store: a lease's name servers are kept with it") {
  Store store = open(":memory:");
  Lease lease;
  lease.id = 1;
  lease.address = *net::parse_v6("2001:db8:42::2");
  lease.prefix = net::Prefix::parse("2001:db8:42:100::/56");
  lease.name_servers = {"ns1.example.net", "2001:db8::53"};
  REQUIRE_FALSE(store.put_lease(lease));
  CHECK(store.load_leases().value().leases.at(0) == lease);
  lease.name_servers.clear();
  REQUIRE_FALSE(store.put_lease(lease));
  CHECK(store.load_leases().value().leases.at(0) == lease);
}

TEST_CASE("store: a database of version 1 is upgraded and keeps users and leases") {
  const TemporaryDirectory directory;
  const std::string path = directory.file("registry.db");
  // As version 1 made it.
  run(path,
      "PRAGMA application_id = 0x364c4e4b;"
      "CREATE TABLE users (name TEXT PRIMARY KEY NOT NULL, realm TEXT NOT NULL, ha1 BLOB NOT NULL,"
      " created INTEGER NOT NULL);"
      "CREATE TABLE leases (id INTEGER PRIMARY KEY, user TEXT REFERENCES users(name) ON DELETE CASCADE,"
      " address TEXT NOT NULL, prefix TEXT, mode TEXT NOT NULL, outer_address TEXT NOT NULL,"
      " outer_port INTEGER NOT NULL, created INTEGER NOT NULL, last_seen INTEGER NOT NULL);"
      "CREATE INDEX leases_user ON leases(user);"
      "INSERT INTO users VALUES ('alice', 'sixlink', x'00112233445566778899aabbccddeeff', 1700000000);"
      "INSERT INTO leases VALUES (1, 'alice', '2001:db8:42::2', '2001:db8:42:100::/56', 'v6udpv4',"
      " '192.0.2.7', 4000, 1700000001, 1700000002);"
      "PRAGMA user_version = 1");
  for (int opening = 0; opening < 2; ++opening) {
    Store store = open(path);
    const auto loaded = store.load_leases().value();
    CHECK(loaded.corrupt == 0);
    REQUIRE(loaded.leases.size() == 1);
    CHECK(loaded.leases[0].user == "alice");
    CHECK(loaded.leases[0].prefix == net::Prefix::parse("2001:db8:42:100::/56"));
    CHECK(loaded.leases[0].name_servers.empty());
    CHECK(store.find_user("alice").value().has_value());
    CHECK(store.dns_records().value().empty());
    CHECK(store.dns_zones().value().empty());
  }
}
