// SPDX-License-Identifier: BSD-3-Clause
#include "registry/dns/record_plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>

using namespace sixlink;
using namespace sixlink::registry;
using namespace sixlink::registry::dns;

namespace {

const std::string kReverse = "2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa";

Settings settings() {
  Settings made;
  made.update_server = "192.0.2.53";
  made.reverse_zones = {kReverse};
  made.user_domain = "users.example.net";
  made.user_zone = "example.net";
  return made;
}

Lease lease(std::int64_t id, const std::string& user, const std::string& prefix = {},
            std::vector<std::string> servers = {}) {
  Lease made;
  made.id = id;
  made.user = user;
  made.address = *net::parse_v6("2001:db8:42::" + std::to_string(id + 1));
  if (!prefix.empty()) made.prefix = net::Prefix::parse(prefix);
  made.name_servers = std::move(servers);
  return made;
}

std::string text(const DnsRecord& record) {
  return record.zone + " " + record.name + " " + record.type + " " + record.data + "\n";
}

std::string wanted(const Settings& from, std::vector<Lease> leases) {
  std::map<std::int64_t, Lease> held;
  for (auto& one : leases) held.emplace(one.id, std::move(one));
  std::string all;
  for (const auto& record : wanted_records(from, held)) all += text(record);
  return all;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("dns plan: a user has an address record and its reverse") {
  CHECK(wanted(settings(), {lease(1, "alice")}) ==
        kReverse + " 2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0." + kReverse + " PTR alice.users.example.net\n" +
            "example.net alice.users.example.net AAAA 2001:db8:42::2\n");
}

TEST_CASE("dns plan: what nobody asked for is not published") {
  Settings bare = settings();
  bare.user_domain.clear();
  CHECK(wanted(bare, {lease(1, "alice", "2001:db8:42:100::/56")}).empty());
  CHECK(wanted(settings(), {lease(1, "", "2001:db8:42:100::/56")}).empty());
}

TEST_CASE("dns plan: a prefix is delegated to each of its name servers") {
  Settings bare = settings();
  bare.user_domain.clear();
  CHECK(wanted(bare, {lease(1, "", "2001:db8:42:100::/56", {"ns1.example.net", "ns2.example.net"})}) ==
        kReverse + " 1.0." + kReverse + " NS ns1.example.net\n" + kReverse + " 1.0." + kReverse +
            " NS ns2.example.net\n");
  CHECK(wanted(bare, {lease(1, "", "2001:db8:42:180::/58", {"ns1.example.net"})}) ==
        kReverse + " 8.1.0." + kReverse + " NS ns1.example.net\n" + kReverse + " 9.1.0." + kReverse +
            " NS ns1.example.net\n" + kReverse + " a.1.0." + kReverse + " NS ns1.example.net\n" + kReverse +
            " b.1.0." + kReverse + " NS ns1.example.net\n");
}

TEST_CASE("dns plan: the closest of the operator's zones has the record") {
  Settings two = settings();
  two.user_domain.clear();
  two.reverse_zones.push_back("1." + kReverse);
  CHECK(wanted(two, {lease(1, "", "2001:db8:42:1100::/56", {"ns1.example.net"})}) ==
        "1." + kReverse + " 1.1." + kReverse + " NS ns1.example.net\n");
  // The apex of an operator's zone is the operator's.
  CHECK(wanted(two, {lease(1, "", "2001:db8:42:1000::/52", {"ns1.example.net"})}) ==
        kReverse + " 1." + kReverse + " NS ns1.example.net\n");
  two.reverse_zones = {"1." + kReverse};
  CHECK(wanted(two, {lease(1, "", "2001:db8:42:1000::/52", {"ns1.example.net"})}).empty());
  CHECK(wanted(two, {lease(1, "", "2001:db8:42:2000::/56", {"ns1.example.net"})}).empty());
}

TEST_CASE("dns plan: a name server with an address only is given a name") {
  const auto all = wanted(settings(), {lease(1, "alice", "2001:db8:42:100::/56",
                                             {"2001:db8:42:100::53", "ns.example.org", "198.51.100.53"})});
  CHECK(all.find("example.net ns1.alice.users.example.net AAAA 2001:db8:42:100::53\n") != std::string::npos);
  CHECK(all.find("example.net ns2.alice.users.example.net A 198.51.100.53\n") != std::string::npos);
  for (const char* name : {"ns1.alice.users.example.net", "ns2.alice.users.example.net", "ns.example.org"})
    CHECK(all.find("1.0." + kReverse + " NS " + name + "\n") != std::string::npos);
  // Nothing refers to it where the reverse zone is not ours.
  Settings elsewhere = settings();
  elsewhere.reverse_zones = {"0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"};
  CHECK(wanted(elsewhere, {lease(1, "alice", "2001:db8:42:100::/56", {"2001:db8:42:100::53"})}) ==
        "example.net alice.users.example.net AAAA 2001:db8:42::2\n");
}

TEST_CASE("dns plan: a tunnel for IPv4 has an A record and no reverse delegation") {
  Lease four = lease(1, "alice");
  four.address = *net::parse_v6("::ffff:203.0.113.9");
  four.prefix = net::Prefix::parse("::ffff:203.0.113.16/124");
  four.name_servers = {"ns1.example.net"};
  CHECK(wanted(settings(), {four}) == "example.net alice.users.example.net A 203.0.113.9\n");
}

TEST_CASE("dns plan: which name servers can be delegated to") {
  const auto accept = [](const Names& asked, const std::string& user = "alice") {
    return accept_name_servers(settings(), asked, user);
  };
  CHECK(accept({}).value().empty());
  CHECK(accept({"NS1.example.net.", "ns1.Example.net", "ns2.example.net"}) ==
        Names{"ns1.example.net", "ns2.example.net"});
  CHECK(accept({"2001:DB8:42:100:0::53", "198.51.100.53"}) == Names{"2001:db8:42:100::53", "198.51.100.53"});
  // Without a user name there is no name for an address.
  CHECK_FALSE(accept({"2001:db8::53"}, "").has_value());
  CHECK(accept({"ns1.example.net"}, "").has_value());
  Settings bare = settings();
  bare.user_domain.clear();
  CHECK_FALSE(accept_name_servers(bare, {"198.51.100.53"}, "alice").has_value());
  for (const char* bad : {"",
                          "ns1",
                          "ns_1.example.net",
                          "10.0.0.1",
                          "172.31.0.1",
                          "192.168.1.1",
                          "169.254.1.1",
                          "100.100.0.1",
                          "127.0.0.1",
                          "0.0.0.0",
                          "224.0.0.1",
                          "255.255.255.255",
                          "192.0.2.300",
                          "fe80::1",
                          "fe80::1%eth0",
                          "::1",
                          "::",
                          "ff02::1",
                          "::ffff:192.0.2.1",
                          "ns1.1.0.0.2.ip6.arpa",
                          "ip6.arpa",
                          "a\nsend"}) {
    CHECK_MESSAGE(!accept({bad}).has_value(), bad);
    CHECK_MESSAGE(!accept({"ns1.example.net", bad}).has_value(), bad);
  }
  CHECK(accept({"172.32.0.1", "100.128.0.1", "172.15.0.1"}).has_value());
}

TEST_CASE("dns plan: from published to wanted") {
  const DnsRecord a{"z", "a", "AAAA", "2001:db8::1"};
  const DnsRecord a2{"z", "a", "AAAA", "2001:db8::2"};
  const DnsRecord b{"z", "b", "AAAA", "2001:db8::3"};
  const DnsRecord c{"y", "c", "AAAA", "2001:db8::4"};
  using Changes = std::vector<Change>;
  CHECK(plan_changes({}, {}, 600).empty());
  CHECK(plan_changes({a}, {{a, {600, true}}}, 600).empty());
  CHECK(plan_changes({a}, {}, 600) == Changes{{a, true}});
  CHECK(plan_changes({}, {{a, {600, true}}, {b, {600, false}}}, 600) == Changes{{a, false}, {b, false}});
  // Sent without an answer, or with another lifetime: again.
  CHECK(plan_changes({a}, {{a, {600, false}}}, 600) == Changes{{a, true}});
  CHECK(plan_changes({a}, {{a, {300, true}}}, 600) == Changes{{a, true}});
  // The old value of a name goes first.
  CHECK(plan_changes({c, a, b}, {{a2, {600, true}}}, 600) ==
        Changes{{c, true}, {a2, false}, {a, true}, {b, true}});
  CHECK(plan_changes({a2}, {{a, {600, true}}}, 600) == Changes{{a, false}, {a2, true}});
}

TEST_CASE("dns plan: carrying the changes out leads to what is wanted, whatever was there") {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<DnsRecord> wished;
    DnsRecords there;
    for (int i = 0; i < 20; ++i) {
      const DnsRecord record{random() % 2 ? "y" : "z", std::string(1, static_cast<char>('a' + random() % 6)),
                             "AAAA", std::to_string(random() % 3)};
      if (random() % 2) wished.push_back(record);
      if (random() % 2) there[record] = {random() % 2 ? 600 : 300, random() % 2 == 0};
    }
    std::sort(wished.begin(), wished.end());
    wished.erase(std::unique(wished.begin(), wished.end()), wished.end());
    for (const auto& change : plan_changes(wished, there, 600)) {
      if (change.is_addition) {
        there[change.record] = {600, true};
      } else {
        CHECK(there.erase(change.record) == 1);
      }
    }
    DnsRecords expected;
    for (const auto& record : wished) expected[record] = {600, true};
    CHECK(there == expected);
  }
}

TEST_CASE("dns plan: the commands for nsupdate") {
  Settings from = settings();
  from.update_port = 5353;
  const std::vector<Change> changes = {{{"example.net", "a.example.net", "AAAA", "2001:db8::1"}, false},
                                       {{"example.net", "a.example.net", "AAAA", "2001:db8::2"}, true},
                                       {{"example.net", "b.example.net", "NS", "ns1.example.org"}, true},
                                       {{"example.net", "c.example.net", "PTR", "x.example.org"}, false}};
  CHECK(update_script(from, "example.net", changes) ==
        "server 192.0.2.53 5353\n"
        "zone example.net.\n"
        "update delete a.example.net. IN AAAA 2001:db8::1\n"
        "update add a.example.net. 600 IN AAAA 2001:db8::2\n"
        "update add b.example.net. 600 IN NS ns1.example.org.\n"
        "update delete c.example.net. IN PTR x.example.org.\n"
        "send\n");
}
