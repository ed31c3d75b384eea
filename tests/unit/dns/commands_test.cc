// SPDX-License-Identifier: BSD-3-Clause
#include "registry/dns/commands.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "registry/store/store.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink::registry;
using sixlink::test::TemporaryDirectory;

namespace {

const std::string kReverse = "2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa";

class Registry {
 public:
  explicit Registry(const std::string& keys) {
    std::ofstream(directory_.file("conf"))
        << "prefix=2001:db8:42::/48\nstate_dir=" << directory_.file("") << "\n"
        << keys;
  }
  Store store() const { return Store::open(directory_.file("registry.db")).value(); }
  int run(Command command) {
    Options options;
    options.command = command;
    options.config_file = directory_.file("conf");
    std::ostringstream out_stream;
    std::ostringstream err_stream;
    const int code = dns::run_dns_command(options, out_stream, err_stream);
    out = out_stream.str();
    err = err_stream.str();
    return code;
  }
  bool says(const std::string& part) const { return out.find(part) != std::string::npos; }

  std::string out;
  std::string err;

 private:
  TemporaryDirectory directory_;
};

Lease lease_of(const std::string& user) {
  Lease lease;
  lease.id = 1;
  lease.user = user;
  lease.address = *sixlink::net::parse_v6("2001:db8:42::2");
  return lease;
}

const DnsRecord kGone{"users.example.net", "bob.users.example.net", "AAAA", "2001:db8:42::3"};

}  // namespace

TEST_CASE("dns status: nothing is published") {
  Registry registry("");
  CHECK(registry.run(Command::kDnsStatus) == kExitOk);
  CHECK(registry.says("dns_update_server is not set: nothing is published in DNS\n"));
  CHECK(registry.run(Command::kDnsResync) == kExitFailure);
  CHECK(registry.err.find("dns_update_server is not set") != std::string::npos);
}

TEST_CASE("dns status: what waits, zone by zone, and what went wrong") {
  TemporaryDirectory keys;
  const auto key = keys.file("key");
  std::ofstream(key) << "key";
  REQUIRE(::chmod(key.c_str(), 0600) == 0);
  Registry registry("dns_update_server=192.0.2.53\ndns_update_key=" + key +
                    "\nuser_domain=users.example.net\n");
  {
    Store store = registry.store();
    REQUIRE(store.add_user({"alice", "sixlink", std::string(16, 'x'), 1}).value());
    REQUIRE_FALSE(store.put_lease(lease_of("alice")));
    REQUIRE_FALSE(store.put_dns_record(kGone, {600, true}));
    REQUIRE_FALSE(store.put_dns_zone(kReverse, {1700000000, 0, ""}));
  }
  CHECK(registry.run(Command::kDnsStatus) == kExitOk);
  CHECK(registry.says("updates go to   192.0.2.53 port 53\n"));
  CHECK(registry.says("users' names    USER.users.example.net\n"));
  CHECK_FALSE(registry.says("warning"));
  CHECK(registry.says("zone " + kReverse +
                      "\n  published     0\n  to add        1\n  to remove     0\n"
                      "  last success  2023-11-14T22:13:20Z\n"));
  CHECK(registry.says("zone users.example.net\n  published     1\n  to add        1\n  to remove     1\n"));
  {
    Store store = registry.store();
    REQUIRE_FALSE(store.put_dns_zone(kReverse, {0, 1700000000, "update failed: REFUSED"}));
  }
  CHECK(registry.run(Command::kDnsStatus) == kExitFailure);
  CHECK(
      registry.says("  last success  never\n  last failure  2023-11-14T22:13:20Z\n"
                    "  problem       update failed: REFUSED\n"));
  REQUIRE(::chmod(key.c_str(), 0644) == 0);
  registry.run(Command::kDnsStatus);
  CHECK(registry.says("warning         dns_update_key="));
}

TEST_CASE("dns resync: everything is to be sent again") {
  Registry registry("dns_update_server=192.0.2.53\ndns_update_key=/dev/null\n");
  REQUIRE_FALSE(registry.store().put_dns_record(kGone, {600, true}));
  CHECK(registry.run(Command::kDnsResync) == kExitOk);
  CHECK(registry.says("1 records are sent again"));
  CHECK_FALSE(registry.store().dns_records().value().at(kGone).is_confirmed);
}
