// SPDX-License-Identifier: BSD-3-Clause
#include "registry/dns/zone_names.h"

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <string>

#include "src/net/server_address.h"

using namespace sixlink;
using namespace sixlink::registry::dns;

namespace {

net::Prefix prefix(const std::string& text) {
  const auto parsed = net::Prefix::parse(text);
  REQUIRE(parsed.has_value());
  return *parsed;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("dns names: an address in the reverse tree, the example of RFC 3596") {
  CHECK(reverse_name(*net::parse_v6("4321:0:1:2:3:4:567:89ab")) ==
        "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa");
}

TEST_CASE("dns names: a prefix on a nibble boundary is one zone, and back") {
  CHECK(reverse_zone(prefix("2001:db8:42::/48")).value() == "2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
  CHECK(reverse_zone(prefix("2001:db8:42:ab00::/56")).value() == "b.a.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
  CHECK(reverse_zone(prefix("2001:db8:42:abc0::/60")).value() == "c.b.a.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
  CHECK_FALSE(reverse_zone(prefix("2001:db8:42:ab00::/58")).has_value());
  CHECK_FALSE(reverse_zone(prefix("::/0")).has_value());
  for (int length = 4; length <= 128; length += 4) {
    const auto one =
        *net::Prefix::make(net::mask(*net::parse_v6("2001:db8:4f2e:abc1:2345:6789:a:b"), length), length);
    CHECK(prefix_of_zone(*reverse_zone(one)) == one);
  }
  CHECK(prefix_of_zone("8.B.D.0.1.0.0.2.IP6.ARPA.") == prefix("2001:db8::/32"));
  for (const char* bad :
       {"", "ip6.arpa", ".ip6.arpa", "x.ip6.arpa", "10.ip6.arpa", "1..ip6.arpa", "1ip6.arpa",
        "2.0.192.in-addr.arpa", "1.0.0.2.ip6.arpa.example.net", "12.ip6.arpa", "1.0.0.2.ip6_arpa"})
    CHECK_MESSAGE(!prefix_of_zone(bad).has_value(), bad);
  CHECK_FALSE(prefix_of_zone("0." + reverse_name(net::AddressV6())).has_value());
}

TEST_CASE("dns names: a prefix between nibble boundaries is the zones that it covers") {
  CHECK(reverse_zones(prefix("2001:db8:42::/48")) == Names{"2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa"});
  CHECK(reverse_zones(prefix("2001:db8:42:40::/58")) ==
        Names{"4.0.0.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "5.0.0.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
              "6.0.0.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "7.0.0.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa"});
  CHECK(reverse_zones(prefix("2001:db8:42:8000::/49")).size() == 8);
  CHECK(reverse_zones(prefix("2001:db8:42:8000::/49")).front() == "8.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
  CHECK(reverse_zones(prefix("2001:db8:42:8000::/49")).back() == "f.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
  CHECK(reverse_zones(prefix("2001:db8:42:2::/63")) ==
        Names{"2.0.0.0.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "3.0.0.0.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa"});
  CHECK(reverse_zones(prefix("::/0")).empty());
}

TEST_CASE("dns names: the zones are exactly the prefix") {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    net::AddressV6::bytes_type bytes;
    for (auto& byte : bytes) byte = static_cast<unsigned char>(random());
    const int length = 1 + static_cast<int>(random() % 128);
    const net::Prefix one{net::mask(net::AddressV6(bytes), length), length};
    const auto zones = reverse_zones(one);
    REQUIRE(zones.size() <= 8);
    double size = 0;  // in parts of the prefix
    for (const auto& zone : zones) {
      const auto part = prefix_of_zone(zone);
      REQUIRE(part.has_value());
      CHECK(one.contains(*part));
      size += 1.0 / static_cast<double>(1U << (part->length - length));
    }
    CHECK(size == 1.0);
    CHECK(std::set<std::string>(zones.begin(), zones.end()).size() == zones.size());
    // An address of the prefix has its name in one of them.
    int found = 0;
    for (const auto& zone : zones) found += is_within(reverse_name(net::AddressV6(bytes)), zone) ? 1 : 0;
    CHECK(found == 1);
  }
}

TEST_CASE("dns names: within a zone") {
  CHECK(is_within("example.net", "example.net"));
  CHECK(is_within("a.b.example.net", "example.net"));
  CHECK_FALSE(is_within("badexample.net", "example.net"));
  CHECK_FALSE(is_within("net", "example.net"));
  CHECK(canonical("NS1.Example.NET.") == "ns1.example.net");
}

TEST_CASE("dns names: what a name server may be called") {
  for (const char* good :
       {"ns1.example.net", "NS1.Example.net.", "a-b.c", "1.example", "xn--bcher-kva.example"})
    CHECK_MESSAGE(is_domain_name(good), good);
  for (const char* bad :
       {"", "ns1", "ns_1.example.net", "192.0.2.1", "1.2.3.4.5", "ns1..net", "-a.net", "a-.net", "a b.net",
        "a;b.net", "a\nb.net", "ns1.example.net\nsend", "$INCLUDE.net", "2001:db8::1",
        "b\xc3\xbc"
        "cher.example"})
    CHECK_MESSAGE(!is_domain_name(bad), bad);
  CHECK_FALSE(is_domain_name(std::string(64, 'a') + ".net"));
}

TEST_CASE("dns names: a user's name that is a label is its own label") {
  for (const char* name : {"alice", "bob-2", "7", "a--b", "x"}) CHECK(user_label(name) == name);
  CHECK(user_label(std::string(63, 'a')) == std::string(63, 'a'));
}

TEST_CASE("dns names: any other user's name is mapped to a label of its own") {
  CHECK(user_label("John.Smith@example.net") == "john-smith-example-net-xiddnt62q9hvvm14i36d8frc36d");
  CHECK(user_label("@@@").starts_with("user-x"));
  CHECK(user_label("-a-").starts_with("a-x"));
  CHECK(user_label(std::string(64, 'a')).starts_with(std::string(35, 'a') + "-x"));
  // What only the case or a sign tells apart.
  std::set<std::string> labels;
  const Names names = {"alice", "Alice", "ALICE", "alice.", "alice_", "alice@", "a.lice", "a_lice", "a-lice"};
  for (const auto& name : names) labels.insert(user_label(name));
  CHECK(labels.size() == names.size());
  // Nobody takes another user's label by calling himself so.
  const auto mapped = user_label("Alice");
  CHECK(user_label(mapped) != mapped);
  CHECK(user_label(user_label(mapped)) != user_label(mapped));
}

TEST_CASE("dns names: every user name that is possible has a label, and no two the same") {
  std::mt19937 random(5);
  std::set<std::string> names;
  std::set<std::string> labels;
  while (names.size() < 5000) {
    std::string name;
    const std::size_t length = 1 + random() % 64;
    while (name.size() < length) name += static_cast<char>('!' + random() % ('~' - '!' + 1));
    if (!names.insert(name).second) continue;
    const auto label = user_label(name);
    CHECK(label.size() <= 63);
    CHECK_MESSAGE(is_domain_name(label + ".example.net"), name);
    CHECK(label == canonical(label));
    CHECK(labels.insert(label).second);
  }
}
