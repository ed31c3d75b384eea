// SPDX-License-Identifier: BSD-3-Clause
#include "registry/config.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "registry/init.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::registry;

namespace {

const std::string kPrefix = "prefix=2001:db8:42::/48\n";

Config parse(const std::string& text) {
  auto loaded = parse_config("test.conf", text);
  for (const auto& problem : loaded.problems) MESSAGE(config::to_string("test.conf", problem));
  REQUIRE(loaded.config.has_value());
  return *loaded.config;
}

// All problems as the user sees them.
std::string problems(const std::string& text) {
  const auto loaded = parse_config("test.conf", text);
  CHECK(loaded.config.has_value() == loaded.problems.empty());
  std::string all;
  for (const auto& problem : loaded.problems) all += config::to_string("test.conf", problem) + "\n";
  return all;
}

std::string warnings(const std::string& text) {
  std::string all;
  for (const auto& warning : parse_config("test.conf", text).warnings) {
    all += config::to_string("test.conf", warning) + "\n";
  }
  return all;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string listen_of(const std::string& value) {
  std::string text;
  for (const auto& one : parse(kPrefix + "listen=" + value).listen) {
    text += one.address.to_string() + " " + std::to_string(one.port) + ";";
  }
  return text;
}

}  // namespace

TEST_CASE("registry config: a prefix is all it needs, the rest has defaults") {
  const Config config = parse(kPrefix);
  const Config standard;
  CHECK(config.path == "test.conf");
  CHECK(config.leases.prefix.to_string() == "2001:db8:42::/48");
  CHECK(config.leases.shortest_delegation == standard.leases.shortest_delegation);
  CHECK(config.leases.longest_delegation == standard.leases.longest_delegation);
  CHECK(config.leases.anonymous_prefix == standard.leases.anonymous_prefix);
  CHECK(config.leases.anonymous_lifetime == standard.leases.anonymous_lifetime);
  CHECK(config.leases.anonymous_per_address == standard.leases.anonymous_per_address);
  REQUIRE(config.listen.size() == 2);
  CHECK(config.listen[0].address.to_string() == "0.0.0.0");
  CHECK(config.listen[1].address.to_string() == "::");
  CHECK(config.listen[1].port == 3653);
  CHECK_FALSE(config.advertised_v4.has_value());
  CHECK_FALSE(config.dns_server.has_value());
  CHECK(config.anonymous == standard.anonymous);
  CHECK(config.auth_plain == standard.auth_plain);
  CHECK(config.auth_digest_md5 == standard.auth_digest_md5);
  CHECK(config.mode_v6udpv4 == standard.mode_v6udpv4);
  CHECK(config.mode_v6v4 == standard.mode_v6v4);
  CHECK(config.mode_v4v6 == standard.mode_v4v6);
  CHECK(config.prefers_v6v4 == standard.prefers_v6v4);
  CHECK_FALSE(config.leases.prefix_v4);
  CHECK(config.leases.shortest_delegation_v4 == standard.leases.shortest_delegation_v4);
  CHECK(config.leases.longest_delegation_v4 == standard.leases.longest_delegation_v4);
  CHECK(config.login_attempts_per_minute == standard.login_attempts_per_minute);
  CHECK(config.requests_per_second == standard.requests_per_second);
  CHECK(config.proxy == standard.proxy);
  CHECK(config.realm == standard.realm);
  CHECK(config.interface == standard.interface);
  CHECK(config.mtu == standard.mtu);
  CHECK(config.lifetime == standard.lifetime);
  CHECK(config.keepalive_interval_min == standard.keepalive_interval_min);
  CHECK(config.max_sessions == standard.max_sessions);
  CHECK(config.sessions_per_address == standard.sessions_per_address);
  CHECK(config.template_name == standard.template_name);
  CHECK(config.run_dir == standard.run_dir);
  CHECK(config.state_dir == standard.state_dir);
  CHECK(config.log.filename == "/var/log/sixlink-registry.log");
  CHECK(config.log.stderr_level == 1);
  CHECK(config.database_path() == "/var/lib/sixlink/registry.db");
}

TEST_CASE("registry config: every key is stored") {
  const Config config = parse(
      "prefix=fd00:1234::/"
      "40\nlisten=192.0.2.1:1000\nserver_v4=198.51.100.1\nanonymous=NO\nanonymous_prefix=Yes\n"
      "anonymous_lifetime=60\nanonymous_per_address=7\nauth_plain=no\nauth_digest_md5=yes\nrealm=users of "
      "example.net\n"
      "prefix_length_min=44\nprefix_length_max=60\ntunnel_modes=V6V4\nproxy=yes\ninterface=six-0.1\nmtu="
      "1472\n"
      "dns_server=2001:db8::53\nlifetime=3600\nkeepalive_interval_min=10\nmax_sessions=10\nsessions_per_"
      "address=3\n"
      "template=my_own\nrun_dir=/tmp/run\nstate_dir=/tmp/state/\nlog_file=2\nlog_filename=/tmp/"
      "log\nlog_console=\n");
  CHECK(config.leases.prefix.to_string() == "fd00:1234::/40");
  CHECK(config.listen.at(0).port == 1000);
  CHECK(config.advertised_v4.value().to_string() == "198.51.100.1");
  CHECK_FALSE(config.anonymous);
  CHECK(config.leases.anonymous_prefix);
  CHECK(config.leases.anonymous_lifetime == 60);
  CHECK(config.leases.anonymous_per_address == 7);
  CHECK_FALSE(config.auth_plain);
  CHECK(config.realm == "users of example.net");
  CHECK(config.leases.shortest_delegation == 44);
  CHECK(config.leases.longest_delegation == 60);
  CHECK_FALSE(config.mode_v6udpv4);
  CHECK(config.mode_v6v4);
  CHECK(config.proxy);
  CHECK(config.interface == "six-0.1");
  CHECK(config.mtu == 1472);
  CHECK(config.dns_server.value().to_string() == "2001:db8::53");
  CHECK(config.lifetime.count() == 3600);
  CHECK(config.keepalive_interval_min.count() == 10);
  CHECK(config.max_sessions == 10);
  CHECK(config.sessions_per_address == 3);
  CHECK(config.template_name == "my_own");
  CHECK(config.run_dir == "/tmp/run");
  CHECK(config.database_path() == "/tmp/state/registry.db");
  CHECK(config.log.file == 2);
  CHECK(config.log.console == 1);
  CHECK(config.log.filename == "/tmp/log");
}

TEST_CASE("registry config: an empty value is the default") {
  std::string text = kPrefix;
  for (const auto& key : config_keys()) {
    if (key.name != "prefix" && !key.name.starts_with("log_")) text += std::string(key.name) + "=\n";
  }
  CHECK(parse(text).listen.size() == 2);
  CHECK(parse(text).realm == "sixlink");
}

TEST_CASE("registry config: listen takes addresses of both families, with and without a port") {
  CHECK(listen_of("0.0.0.0, [::]:99") == "0.0.0.0 3653;:: 99;");
  CHECK(listen_of("192.0.2.1:4000 2001:db8::1,[2001:db8::2]") ==
        "192.0.2.1 4000;2001:db8::1 3653;2001:db8::2 3653;");
  CHECK(listen_of("192.0.2.1 192.0.2.1:4000") == "192.0.2.1 3653;192.0.2.1 4000;");
  for (const char* bad : {"broker.example.net", "192.0.2.256", "192.0.2.1:0", "192.0.2.1:65536",
                          "[::", "::1:", ",", "224.0.0.1", "ff02::1", "192.0.2.1;192.0.2.2", "[192.0.2.1]"}) {
    CHECK_MESSAGE(contains(problems(kPrefix + "listen=" + bad), "test.conf:2: listen: "), bad);
  }
  CHECK(
      contains(problems(kPrefix + "listen=192.0.2.1 192.0.2.1:3653"), "192.0.2.1 port 3653 is there twice"));
}

TEST_CASE("registry config: the prefix") {
  CHECK(contains(problems(""), "test.conf: prefix: the registry's prefix is missing"));
  CHECK(contains(problems("prefix=\n"), "test.conf:1: prefix: "));
  for (const char* bad :
       {"2001:db8::/31", "2001:db8::/65", "2001:db8::1/64", "2001:db8::", "fe80::/64", "ff00::/32", "::/64",
        "2001:db8::/48/48", "192.0.2.0/24", "2001:db8::/4a", "::ffff:0:0/64"}) {
    const auto text = problems(std::string("prefix=") + bad);
    CHECK_MESSAGE(
        contains(text, "test.conf:1: prefix: \"" + std::string(bad) + "\" is not allowed; allowed: "), text);
    CHECK_MESSAGE(std::count(text.begin(), text.end(), '\n') == 1, text);
  }
  for (const char* good : {"2001:db8::/32", "2001:db8:1:2::/64", "fd00::/48"}) {
    CHECK(parse(std::string("prefix=") + good).leases.prefix.to_string() == good);
  }
}

TEST_CASE("registry config: all mistakes are told, with line, key and what is allowed") {
  const auto text = problems(
      "prefix=2001:db8:42::1/48\nnonsense\nmtu=1500\n# comment\ncolour=blue\nanonymous=perhaps\nrealm=a\"b\n"
      "interface=a/b\n");
  CHECK(text ==
        "test.conf:1: prefix: \"2001:db8:42::1/48\" is not allowed; allowed: a prefix of 32 to 64 bits of "
        "global or unique "
        "local addresses, without host bits (2001:db8:42::/48)\n"
        "test.conf:2: expected name=value, found \"nonsense\"\n"
        "test.conf:3: mtu: \"1500\" is not allowed; allowed: 1280 to 1480\n"
        "test.conf:5: colour: unknown key; sixlink-registry.conf(5) lists them all\n"
        "test.conf:6: anonymous: \"perhaps\" is not allowed; allowed: yes or no\n"
        "test.conf:7: realm: \"a\"b\" is not allowed; allowed: 1 to 64 printable ASCII characters without \" "
        "and \\\n"
        "test.conf:8: interface: \"a/b\" is not allowed; allowed: an interface name: 1 to 15 letters, digits "
        "or \"_.-\", "
        "not beginning with \"-\"\n");
}

TEST_CASE("registry config: values that no key takes") {
  for (const char* bad : {"server_v4=0.0.0.0",
                          "server_v4=2001:db8::1",
                          "server_v4=127.0.0.1",
                          "anonymous_lifetime=59",
                          "anonymous_lifetime=1e3",
                          "anonymous_per_address=0",
                          "prefix_length_min=32",
                          "prefix_length_max=65",
                          "tunnel_modes=v6anyv4",
                          "prefix_v4=203.0.113.1/24",
                          "prefix_v4=203.0.113.0/31",
                          "prefix_v4=10.0.0.0/7",
                          "prefix_v4=224.0.0.0/8",
                          "prefix_v4=127.0.0.0/8",
                          "prefix_v4=2001:db8::/64",
                          "prefix_v4_length_min=8",
                          "prefix_v4_length_max=33",
                          "prefer=v4v6",
                          "login_attempts_per_minute=0",
                          "requests_per_second=0",
                          "tunnel_modes=,",
                          "interface=sixteen-letters-",
                          "interface=-x",
                          "interface=..",
                          "mtu=1279",
                          "mtu=1481",
                          "dns_server=ff02::1",
                          "dns_server=fe80::1",
                          "dns_server=192.0.2.53",
                          "lifetime=0",
                          "keepalive_interval_min=0",
                          "max_sessions=0",
                          "max_sessions=99999999999999999999",
                          "sessions_per_address=-1",
                          "template=../evil",
                          "template=a b",
                          "realm=a\\b",
                          "log_file=4",
                          "log_rotation_size=33",
                          "syslog_facility=MAIL"}) {
    const std::string line = bad;
    const auto text = problems(kPrefix + line);
    CHECK_MESSAGE(contains(text, "test.conf:2: " + line.substr(0, line.find('=')) + ": \""), line);
  }
}

TEST_CASE("registry config: cross-checks of prefix lengths") {
  CHECK(contains(problems(kPrefix + "prefix_length_min=48"),
                 "48 is not longer than the registry's own prefix"));
  CHECK(contains(problems(kPrefix + "prefix_length_min=60\nprefix_length_max=57"),
                 "test.conf:2: prefix_length_min: is 60, more than prefix_length_max=57"));
  CHECK(contains(problems("prefix=2001:db8::/60\nprefix_length_max=60"),
                 "test.conf:2: prefix_length_max: 60 is not"));
  CHECK(parse(kPrefix + "prefix_length_min=49").leases.shortest_delegation == 49);
  CHECK(parse(kPrefix + "prefix_length_max=52").leases.shortest_delegation == 52);
  CHECK(parse("prefix=2001:db8::/60").leases.shortest_delegation == 61);
  // A /64 delegates nothing.
  parse("prefix=2001:db8::/64");
  CHECK(contains(warnings("prefix=2001:db8::/64\nprefix_length_min=64"),
                 "test.conf:2: prefix_length_min: without effect"));
}

TEST_CASE("registry config: v4v6") {
  const auto config = parse(kPrefix +
                            "prefix_v4=203.0.113.0/24\nprefix_v4_length_min=26\nprefix_v4_length_max=30\n"
                            "prefer=V6V4\nlogin_attempts_per_minute=5\nrequests_per_second=7\nmtu=1480\n");
  CHECK(config.mode_v4v6);
  CHECK(config.leases.prefix_v4->to_string() == "203.0.113.0/24");
  CHECK(config.leases.shortest_delegation_v4 == 26);
  CHECK(config.leases.longest_delegation_v4 == 30);
  CHECK(config.prefers_v6v4);
  CHECK(config.login_attempts_per_minute == 5);
  CHECK(config.requests_per_second == 7);
  CHECK(config.mode_mtu(LeaseMode::kV6UdpV4) == 1472);
  CHECK(config.mode_mtu(LeaseMode::kV6V4) == 1480);
  CHECK(config.mode_mtu(LeaseMode::kV4V6) == 1460);
  CHECK(parse(kPrefix).mode_mtu(LeaseMode::kV4V6) == 1280);

  CHECK_FALSE(parse(kPrefix).mode_v4v6);
  CHECK_FALSE(parse(kPrefix + "tunnel_modes=\n").mode_v4v6);
  CHECK(parse(kPrefix + "prefix_v4=203.0.113.0/24\ntunnel_modes=v4v6").mode_v4v6);
  CHECK_FALSE(parse(kPrefix + "prefix_v4=203.0.113.0/24\ntunnel_modes=v4v6").mode_v6v4);
  CHECK(contains(problems(kPrefix + "tunnel_modes=v6udpv4 v4v6"), "test.conf:2: tunnel_modes: v4v6 needs"));
  CHECK(contains(warnings(kPrefix + "prefix_v4=203.0.113.0/24\ntunnel_modes=v6v4\nwireguard=no"),
                 "test.conf:2: prefix_v4: without effect"));
  CHECK(warnings(kPrefix + "prefix_v4=203.0.113.0/24\ntunnel_modes=v6v4").empty());
  CHECK(contains(warnings(kPrefix + "prefix_v4_length_min=29"), "prefix_v4_length_min: without effect"));
  CHECK(parse(kPrefix + "prefix_v4=203.0.113.0/30").leases.shortest_delegation_v4 == 31);
  CHECK(contains(problems(kPrefix + "prefix_v4=203.0.113.0/24\nprefix_v4_length_min=24"),
                 "test.conf:3: prefix_v4_length_min: 24 is not longer"));
  CHECK(contains(problems(kPrefix + "prefix_v4=203.0.113.0/24\nprefix_v4_length_max=24"),
                 "test.conf:3: prefix_v4_length_max: 24 is not longer"));
  CHECK(contains(
      problems(kPrefix + "prefix_v4=203.0.113.0/24\nprefix_v4_length_min=30\nprefix_v4_length_max=29"),
      "prefix_v4_length_min: is 30, more than prefix_v4_length_max=29"));
}

TEST_CASE("registry config: somebody must be able to log in") {
  CHECK(contains(problems(kPrefix + "anonymous=no\nauth_plain=no\nauth_digest_md5=no\nauth_passdss=no"),
                 "test.conf:2: anonymous: nobody can log in"));
  parse(kPrefix + "anonymous=no\nauth_plain=no");
  CHECK(
      contains(warnings(kPrefix + "anonymous=no\nanonymous_prefix=yes"), "anonymous_prefix: without effect"));
}

TEST_CASE("registry config: a key given twice: the last counts, and it is said") {
  CHECK(parse(kPrefix + "mtu=1300\nmtu=1400").mtu == 1400);
  CHECK(warnings(kPrefix + "mtu=1300\nmtu=1400") == "test.conf:3: mtu: given twice; line 2 is ignored\n");
}

TEST_CASE("registry config: a file that is not there or no file") {
  const test::TemporaryDirectory directory;
  auto loaded = load_config(directory.file("missing.conf"));
  REQUIRE(loaded.problems.size() == 1);
  CHECK(contains(loaded.problems[0].message, "No such file or directory"));
  CHECK(contains(loaded.problems[0].message, "sixlink-registry init"));
  CHECK_FALSE(load_config(directory.file("")).problems.empty());
}

TEST_CASE("registry config: the instance is named for the file") {
  const auto name = [](const char* path) {
    Config config;
    config.path = path;
    return config.instance_name();
  };
  CHECK(name("/etc/sixlink/sixlink-registry.conf") == "sixlink-registry");
  CHECK(name("test") == "test");
  CHECK(name("") == "sixlink-registry");
}

TEST_CASE("registry config: the sample parses, has every key with its default, and is what init writes") {
  const auto sample = config::read_file("conf/sixlink-registry.conf");
  REQUIRE_MESSAGE(sample.has_value(), "run the tests from the top of the source tree");
  CHECK(*sample == config_text({}));
  const auto loaded = parse_config("conf/sixlink-registry.conf", *sample);
  CHECK(loaded.problems.empty());
  CHECK(loaded.warnings.empty());
  for (const auto& key : config_keys()) {
    const std::string name(key.name);
    const bool is_set = contains(*sample, "\n" + name + "=");
    const bool is_shown = contains(*sample, "\n#" + name + "=" + std::string(key.default_value) + "\n");
    CHECK_MESSAGE((is_set || is_shown), name);
  }
}

TEST_CASE("registry config: the man page has every key with its default") {
  const auto page = config::read_file("man/sixlink-registry.conf.5");
  REQUIRE(page.has_value());
  for (const auto& key : config_keys()) {
    const auto at = page->find("\n.It Cm " + std::string(key.name) + " ");
    REQUIRE_MESSAGE(at != std::string::npos, key.name);
    const auto entry = page->substr(at, page->find("\n.It ", at + 1) - at + 1);
    if (key.default_value.empty()) continue;
    CHECK_MESSAGE(contains(entry, "\nDefault: " + std::string(key.default_value) + ".\n"), entry);
  }
}

TEST_CASE("registry config: names in DNS") {
  const std::string update = kPrefix + "dns_update_server=192.0.2.53\ndns_update_key=/etc/key\n";
  const Config none = parse(kPrefix);
  CHECK_FALSE(none.dns.publishes());
  CHECK(none.dns.ttl.count() == 600);
  const Config config = parse(update + "user_domain=Users.Example.NET.\nuser_zone=example.net\ndns_ttl=30\n");
  CHECK(config.dns.publishes());
  CHECK(config.dns.update_server == "192.0.2.53");
  CHECK(config.dns.update_port == 53);
  CHECK(config.dns.update_key == "/etc/key");
  CHECK(config.dns.user_domain == "users.example.net");
  CHECK(config.dns.user_zone == "example.net");
  CHECK(config.dns.ttl.count() == 30);
  CHECK(config.dns.reverse_zones == std::vector<std::string>{"2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa"});
  CHECK(parse(update + "user_domain=users.example.net\n").dns.user_zone == "users.example.net");
  // The resolver that clients are told is another key.
  CHECK_FALSE(config.dns_server.has_value());
  CHECK(parse("prefix=2001:db8:40::/46\n").dns.reverse_zones ==
        std::vector<std::string>{"0.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "1.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
                                 "2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "3.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa"});
  CHECK(parse(update + "reverse_zone=8.B.D.0.1.0.0.2.ip6.arpa. 1.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa\n")
            .dns.reverse_zones ==
        std::vector<std::string>{"8.b.d.0.1.0.0.2.ip6.arpa", "1.2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa"});
}

TEST_CASE("registry config: where DNS updates go") {
  const auto server = [](const std::string& value) {
    const Config config = parse(kPrefix + "dns_update_key=/etc/key\ndns_update_server=" + value + "\n");
    return config.dns.update_server + " " + std::to_string(config.dns.update_port);
  };
  CHECK(server("192.0.2.53") == "192.0.2.53 53");
  CHECK(server("192.0.2.53:5353") == "192.0.2.53 5353");
  CHECK(server("2001:db8::53") == "2001:db8::53 53");
  CHECK(server("[2001:db8::53]") == "2001:db8::53 53");
  CHECK(server("[2001:db8::53]:5353") == "2001:db8::53 5353");
  CHECK(server("ns.example.net") == "ns.example.net 53");
  CHECK(server("ns.example.net:3653") == "ns.example.net 3653");
  for (const char* bad : {"192.0.2.300", "ns example", "ns;x", "192.0.2.1:0", "[192.0.2.1]"})
    CHECK(contains(problems(kPrefix + "dns_update_key=/etc/key\ndns_update_server=" + bad + "\n"),
                   "dns_update_server"));
}

TEST_CASE("registry config: mistakes in the keys of DNS") {
  const std::string update = kPrefix + "dns_update_server=192.0.2.53\ndns_update_key=/etc/key\n";
  CHECK(contains(problems(kPrefix + "dns_update_server=192.0.2.53\n"), "tsig-keygen"));
  CHECK(contains(problems(update + "reverse_zone=3.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa\n"),
                 "nothing to do with prefix="));
  for (const char* bad : {"42.ip6.arpa", "2.0.192.in-addr.arpa", "example.net", "x.ip6.arpa"})
    CHECK(contains(problems(update + "reverse_zone=" + bad + "\n"), "zones of ip6.arpa"));
  CHECK(
      contains(problems(update + "user_domain=users.example.net\nuser_zone=example.org\n"), "one above it"));
  CHECK(contains(problems(update + "user_domain=users.example.net\nuser_zone=a.users.example.net\n"),
                 "one above it"));
  for (const char* bad : {"users", "a_b.example.net", "192.0.2.1", "-.net"})
    CHECK(contains(problems(update + "user_domain=" + bad + "\n"), "user_domain"));
  CHECK(contains(problems(update + "dns_ttl=5\n"), "10 to 86400"));
  CHECK(contains(warnings(kPrefix + "user_domain=users.example.net\n"), "nobody publishes them"));
  CHECK(contains(warnings(kPrefix + "dns_ttl=60\n"), "without effect"));
  CHECK(contains(warnings(update + "user_zone=example.net\n"), "without effect"));
  CHECK(warnings(update + "user_domain=users.example.net\nuser_zone=example.net\n").empty());
}
