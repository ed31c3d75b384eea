// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/babel_protocol.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>

using namespace sixlink;
using client::BabelMonitor;

namespace {

client::Ownership ownership() {
  return {*net::Prefix::parse("2001:db8:42::/48"), *net::PrefixV4::parse("198.51.100.0/24"),
          *net::Prefix::parse("2001:db8:42:1::/64"), *net::PrefixV4::parse("198.51.100.16/29")};
}

const std::string kHeader =
    "BABEL 1.0\nversion babeld-1.12.1\nhost node\nmy-id 20:01:0d:b8:00:42:00:01\nok\n";

BabelMonitor greeted() {
  BabelMonitor monitor(ownership());
  REQUIRE(monitor.input(kHeader));
  REQUIRE(monitor.has_greeted());
  return monitor;
}

std::string route_line(const std::string& what, const std::string& id, const std::string& prefix,
                       const std::string& origin, const std::string& installed = "yes", int metric = 96,
                       const std::string& interface = "sixm1") {
  return what + " route " + id + " prefix " + prefix + " from ::/0 installed " + installed + " id " + origin +
         " metric " + std::to_string(metric) + " refmetric 0 via fe80::2 if " + interface + "\n";
}

constexpr const char* kNode2 = "20:01:0d:b8:00:42:00:02";
constexpr const char* kNode3 = "20:01:0d:b8:00:42:00:03";

}  // namespace

TEST_CASE("babel: a router-id is the first 64 bits of a prefix") {
  const auto id = client::router_id_of(*net::Prefix::parse("2001:db8:42:17::/64"));
  CHECK(client::to_string(id) == "20:01:0d:b8:00:42:00:17");
  CHECK(client::parse_router_id("20:01:0d:b8:00:42:00:17") == id);
  for (const char* bad : {"", "20:01:0d:b8:00:42:00", "20:01:0d:b8:00:42:00:1", "20:01:0d:b8:00:42:00:1g",
                          "20-01-0d-b8-00-42-00-17", "20:01:0d:b8:00:42:00:177", "+0:01:0d:b8:00:42:00:17"})
    CHECK_MESSAGE(!client::parse_router_id(bad), bad);
}

TEST_CASE("babel: only the owner of a prefix may announce it") {
  auto rules = ownership();
  const auto id = [](const char* text) { return *client::parse_router_id(text); };
  const auto v6 = [](const char* text) { return mesh::Destination(*net::Prefix::parse(text)); };
  const auto v4 = [](const char* text) { return mesh::Destination(*net::PrefixV4::parse(text)); };
  CHECK_FALSE(rules.is_foreign(v6("2001:db8:42:2::/64"), id(kNode2)));
  CHECK_FALSE(rules.is_foreign(v6("2001:db8:42:200::/56"), id("20:01:0d:b8:00:42:02:00")));
  CHECK_FALSE(rules.is_foreign(v6("::/0"), id(kNode2)));
  CHECK(rules.is_foreign(v6("2001:db8:42:3::/64"), id(kNode2)));
  CHECK(rules.is_foreign(v6("2001:db8:42:1::/64"), id(kNode2)));
  CHECK(rules.is_foreign(v6("2001:db8:bad::/48"), id(kNode2)));
  CHECK(rules.is_foreign(v6("2001:db8:42:2:8000::/65"), id(kNode2)));
  CHECK(rules.is_foreign(v6("2001:db8:42::/48"), id("20:01:0d:b8:00:42:00:00")));
  CHECK(rules.is_foreign(v6("2001:db8::/32"), id("20:01:0d:b8:00:00:00:00")));
  CHECK_FALSE(rules.is_foreign(v4("198.51.100.24/29"), id(kNode2)));
  CHECK(rules.is_foreign(v4("198.51.100.16/29"), id(kNode2)));
  CHECK(rules.is_foreign(v4("198.51.100.17/32"), id(kNode2)));
  CHECK(rules.is_foreign(v4("203.0.113.0/24"), id(kNode2)));
  CHECK(rules.is_foreign(v4("198.51.100.0/24"), id(kNode2)));
  CHECK_FALSE(rules.is_foreign(v4("0.0.0.0/0"), id(kNode2)));
  // The range was another one: who has not heard of the present one is no liar.
  rules.former_v4 = net::PrefixV4::parse("203.0.113.0/24");
  CHECK_FALSE(rules.is_foreign(v4("203.0.113.16/28"), id(kNode2)));
  CHECK(rules.is_foreign(v4("192.0.2.16/28"), id(kNode2)));
  CHECK(rules.is_own(v6("2001:db8:42:1::/64")));
  CHECK(rules.is_own(v6("2001:db8:42:1:8000::/65")));
  CHECK_FALSE(rules.is_own(v6("2001:db8:42::/48")));
}

TEST_CASE("babel: installed routes are known until they are not installed or flushed") {
  auto monitor = greeted();
  monitor.take_routes_changed();
  REQUIRE(monitor.input(route_line("add", "a1", "2001:db8:42:2::/64", kNode2)));
  CHECK(monitor.take_routes_changed());
  CHECK_FALSE(monitor.take_routes_changed());
  REQUIRE(monitor.routes().size() == 1);
  CHECK(monitor.routes()[0].destination == mesh::Destination(*net::Prefix::parse("2001:db8:42:2::/64")));
  CHECK(monitor.routes()[0].interface == "sixm1");
  CHECK(monitor.routes()[0].metric == 96);
  CHECK(monitor.routes()[0].origin == kNode2);

  REQUIRE(monitor.input(route_line("change", "a1", "2001:db8:42:2::/64", kNode2, "yes", 200)));
  CHECK(monitor.take_routes_changed());
  CHECK(monitor.routes()[0].metric == 200);
  REQUIRE(monitor.input(route_line("change", "a1", "2001:db8:42:2::/64", kNode2, "yes", 200)));
  CHECK_FALSE(monitor.take_routes_changed());

  REQUIRE(monitor.input(route_line("add", "b2", "2001:db8:42:2::/64", kNode2, "no", 300, "sixm2")));
  CHECK_FALSE(monitor.take_routes_changed());
  CHECK(monitor.routes().size() == 1);

  // As unreachable it stands in the kernel's table, where it leads nowhere.
  REQUIRE(monitor.input(route_line("change", "a1", "2001:db8:42:2::/64", kNode2, "yes", 65535)));
  CHECK(monitor.routes().empty());
  REQUIRE(monitor.input(route_line("change", "b2", "2001:db8:42:2::/64", kNode2, "yes", 300, "sixm2")));
  REQUIRE(monitor.routes().size() == 1);
  CHECK(monitor.routes()[0].interface == "sixm2");
  REQUIRE(monitor.input("flush route b2 prefix 2001:db8:42:2::/64\n"));
  CHECK(monitor.routes().empty());
  CHECK(monitor.malformed() == 0);
}

TEST_CASE("babel: IPv4 and default routes") {
  auto monitor = greeted();
  REQUIRE(monitor.input(route_line("add", "1", "198.51.100.24/29", kNode2)));
  REQUIRE(monitor.input(route_line("add", "2", "::/0", kNode2)));
  REQUIRE(monitor.input("add route 3 prefix 0.0.0.0/0 from 0.0.0.0/0 installed yes id " +
                        std::string(kNode2) + " metric 96 refmetric 0 via fe80::2 if sixm1\n"));
  CHECK(monitor.routes().size() == 3);
  CHECK(monitor.take_foreign().empty());
  CHECK(monitor.malformed() == 0);
}

TEST_CASE("babel: routes for some sources only are passed over") {
  auto monitor = greeted();
  REQUIRE(monitor.input("add route 3 prefix ::/0 from 2001:db8:42:2::/64 installed yes id " +
                        std::string(kNode2) + " metric 96 refmetric 0 via fe80::2 if sixm1\n"));
  CHECK(monitor.routes().empty());
  CHECK(monitor.malformed() == 0);
}

TEST_CASE("babel: a foreign announcement is news once, and again when it is followed") {
  auto monitor = greeted();
  REQUIRE(monitor.input(route_line("add", "1", "2001:db8:42:3::/64", kNode2, "no")));
  auto news = monitor.take_foreign();
  REQUIRE(news.size() == 1);
  CHECK(news[0].destination == mesh::Destination(*net::Prefix::parse("2001:db8:42:3::/64")));
  CHECK(news[0].origin == kNode2);
  CHECK(news[0].interface == "sixm1");
  CHECK_FALSE(news[0].is_own);
  CHECK_FALSE(news[0].is_followed);
  REQUIRE(monitor.input(route_line("change", "1", "2001:db8:42:3::/64", kNode2, "no", 100)));
  CHECK(monitor.take_foreign().empty());
  REQUIRE(monitor.input(route_line("change", "1", "2001:db8:42:3::/64", kNode2, "yes", 100)));
  news = monitor.take_foreign();
  REQUIRE(news.size() == 1);
  CHECK(news[0].is_followed);
  REQUIRE(monitor.input(route_line("change", "1", "2001:db8:42:3::/64", kNode2, "no", 100)));
  REQUIRE(monitor.input(route_line("change", "1", "2001:db8:42:3::/64", kNode2, "yes", 100)));
  CHECK(monitor.take_foreign().empty());

  REQUIRE(monitor.input(route_line("add", "2", "2001:db8:42:1::/64", kNode2, "no", 65535)));
  news = monitor.take_foreign();
  REQUIRE(news.size() == 1);
  CHECK(news[0].is_own);
  // The owner's own announcement is none.
  REQUIRE(monitor.input(route_line("add", "4", "2001:db8:42:3::/64", kNode3)));
  CHECK(monitor.take_foreign().empty());
}

TEST_CASE("babel: that a prefix is gone is no announcement") {
  auto monitor = greeted();
  REQUIRE(monitor.input("add route 1 prefix 2001:db8:42:3::/64 from ::/0 installed no id " +
                        std::string(kNode2) + " metric 65535 refmetric 65535 via fe80::2 if sixm1\n"));
  CHECK(monitor.take_foreign().empty());
}

TEST_CASE("babel: neighbours") {
  auto monitor = greeted();
  REQUIRE(monitor.input("add interface sixm1 up true ipv6 fe80::1\n"));
  CHECK(monitor.take_interfaces_changed());
  monitor.take_neighbours_changed();
  REQUIRE(
      monitor.input("add neighbour 55d0 address fe80::2 if sixm1 reach 8000 ureach 0000 rxcost 384 "
                    "txcost 65535 cost 65535\n"));
  CHECK(monitor.take_neighbours_changed());
  REQUIRE(monitor.neighbours().size() == 1);
  CHECK_FALSE(monitor.neighbours()[0].rtt);
  CHECK(monitor.neighbours()[0].cost == 65535);
  REQUIRE(
      monitor.input("change neighbour 55d0 address fe80::2 if sixm1 reach fff0 ureach 0000 rxcost 96 "
                    "txcost 96 rtt 12.345 rttcost 23 cost 119\n"));
  CHECK(monitor.take_neighbours_changed());
  const auto neighbour = monitor.neighbours().at(0);
  CHECK(neighbour.interface == "sixm1");
  CHECK(neighbour.rtt == std::chrono::microseconds(12345));
  CHECK(neighbour.cost == 119);
  CHECK(neighbour.reachability == 0xfff0);
  // babeld remembers a neighbour after its interface is gone.
  REQUIRE(monitor.input("flush interface sixm1 up false\n"));
  CHECK(monitor.neighbours().empty());
  CHECK(monitor.has_neighbour_on("sixm1"));
  REQUIRE(
      monitor.input("flush neighbour 55d0 address fe80::2 if sixm1 reach 0000 ureach 0000 rxcost 65535 "
                    "txcost 65535 cost 65535\n"));
  CHECK_FALSE(monitor.has_neighbour_on("sixm1"));
}

TEST_CASE("babel: interfaces and what is announced") {
  auto monitor = greeted();
  REQUIRE(monitor.input("add interface sixm1 up false\n"));
  CHECK_FALSE(monitor.is_interface_up("sixm1"));
  REQUIRE(monitor.input("change interface sixm1 up true ipv6 fe80::1 ipv4 198.51.100.17\n"));
  CHECK(monitor.is_interface_up("sixm1"));
  REQUIRE(monitor.input("flush interface sixm1 up false\n"));
  CHECK_FALSE(monitor.is_interface_up("sixm1"));
  REQUIRE(monitor.input("add xroute 2001:db8:42:1::/64-::/0 prefix 2001:db8:42:1::/64 from ::/0 metric 0\n"));
  CHECK(monitor.announced() == std::set<std::string>{"2001:db8:42:1::/64"});
  REQUIRE(
      monitor.input("flush xroute 2001:db8:42:1::/64-::/0 prefix 2001:db8:42:1::/64 from ::/0 metric 0\n"));
  CHECK(monitor.announced().empty());
}

TEST_CASE("babel: answers belong to commands in their order") {
  auto monitor = greeted();
  REQUIRE(monitor.expect("monitor"));
  REQUIRE(monitor.expect("interface sixm1"));
  REQUIRE(monitor.expect("flush interface sixm9"));
  CHECK_FALSE(monitor.is_complete());
  REQUIRE(monitor.input("add interface sixm1 up false\nok\n"));
  CHECK(monitor.is_complete());
  CHECK(monitor.unanswered() == 2);
  REQUIRE(monitor.input("bad\nno No such interface\n"));
  const auto refusals = monitor.take_refusals();
  REQUIRE(refusals.size() == 2);
  CHECK(refusals[0].command == "interface sixm1");
  CHECK(refusals[0].answer == "bad");
  CHECK(refusals[1].answer == "no No such interface");
  CHECK_FALSE(monitor.input("ok\n"));
  CHECK(monitor.problem() == "it answers what it was not asked");
}

TEST_CASE("babel: what is not babeld is found out") {
  const auto problem = [](const std::string& bytes) {
    BabelMonitor monitor(ownership());
    CHECK_FALSE(monitor.input(bytes));
    CHECK_FALSE(monitor.input("ok\n"));
    return monitor.problem();
  };
  CHECK(problem("SSH-2.0-OpenSSH\n").find("it begins with 'SSH-2.0-OpenSSH'") == 0);
  CHECK(problem("BABEL 0.0\n").find("it begins with") == 0);
  CHECK(problem(kHeader + std::string(2000, 'x')) == "a line has no end");
  CHECK(problem("BABEL 1.0\nhost \x01\n") == "its header has control characters");
  std::string endless = "BABEL 1.0\n";
  for (int i = 0; i < 100; ++i) endless += "more\n";
  CHECK(problem(endless) == "its header has no end");
}

TEST_CASE("babel: malformed lines are passed over, and the next good one counts") {
  auto monitor = greeted();
  const std::string bad[] = {
      "add route zz prefix 2001:db8:42:2::/64 from ::/0 installed yes id 20:01:0d:b8:00:42:00:02 metric 1 if "
      "a",
      "add route 1 prefix 2001:db8:42:2::1/64 from ::/0 installed yes id 20:01:0d:b8:00:42:00:02 metric 1 if "
      "a",
      "add route 1 prefix 2001:db8:42:2::/64 from ::/0 installed yes id 20:01 metric 1 if a",
      "add route 1 prefix 2001:db8:42:2::/64 from ::/0 installed yes id 20:01:0d:b8:00:42:00:02 metric -1 if "
      "a",
      "add route 1 prefix 2001:db8:42:2::/64 from ::/0 installed yes id 20:01:0d:b8:00:42:00:02 metric 1",
      "add route 1",
      "add route",
      "add neighbour 1 if sixm1 reach 10000x cost 1",
      "add neighbour 1 if sixm1 reach ffff rtt 1.2.3 cost 1",
      "add neighbour 1 if sixm1 reach ffff rtt 99999999999.000 cost 1",
      "add neighbour",
      "add interface",
      "add interface a/b up true",
      "add xroute x",
      "add xroute x prefix y",
      "surprise",
      "add interface a\x01 up true",
  };
  for (const auto& line : bad) CHECK(monitor.input(line + "\n"));
  CHECK(monitor.malformed() == std::size(bad));
  CHECK(monitor.routes().empty());
  CHECK(monitor.neighbours().empty());
  CHECK(monitor.input(route_line("add", "1", "2001:db8:42:2::/64", kNode2)));
  CHECK(monitor.routes().size() == 1);
  // A known route of which something is told that makes no sense is not known any more.
  CHECK(monitor.input("change route 1 prefix nonsense\n"));
  CHECK(monitor.routes().empty());
}

TEST_CASE("babel: bytes may come in any pieces") {
  const std::string text =
      kHeader + "add interface sixm1 up true ipv6 fe80::1\n" +
      route_line("add", "a1", "2001:db8:42:2::/64", kNode2) +
      route_line("add", "a2", "2001:db8:42:3::/64", kNode3) +
      "add neighbour 55d0 address fe80::2 if sixm1 reach ffff ureach 0000 rxcost 96 txcost 96 cost 96\n";
  for (std::size_t size = 1; size < 40; ++size) {
    BabelMonitor monitor(ownership());
    for (std::size_t at = 0; at < text.size(); at += size) REQUIRE(monitor.input(text.substr(at, size)));
    CHECK(monitor.routes().size() == 2);
    CHECK(monitor.neighbours().size() == 1);
  }
}

TEST_CASE("babel: the table is the same as a slow one's after any changes") {
  auto monitor = greeted();
  std::map<unsigned, mesh::Route> oracle;
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    const auto id = static_cast<unsigned>(1 + random() % 500);
    std::ostringstream hex;
    hex << std::hex << id;
    if (random() % 3 == 0) {
      REQUIRE(monitor.input("flush route " + hex.str() + " prefix x\n"));
      oracle.erase(id);
      continue;
    }
    const bool is_installed = random() % 4 != 0;
    const int metric = static_cast<int>(random() % 1000);
    const auto prefix = "2001:db8:42:" + hex.str() + "::/64";
    const auto origin = client::to_string(client::router_id_of(*net::Prefix::parse(prefix)));
    REQUIRE(monitor.input(
        route_line("change", hex.str(), prefix, origin, is_installed ? "yes" : "no", metric, "sixm3")));
    if (is_installed)
      oracle[id] = {*net::Prefix::parse(prefix), "sixm3", static_cast<std::uint32_t>(metric), origin};
    else
      oracle.erase(id);
  }
  REQUIRE(monitor.routes().size() == oracle.size());
  for (const auto& [id, route] : oracle)
    CHECK(std::count(monitor.routes().begin(), monitor.routes().end(), route) == 1);
  CHECK(monitor.malformed() == 0);
}

TEST_CASE("babel: a flood fills no memory") {
  auto monitor = greeted();
  std::string lines;
  for (unsigned i = 0; i < BabelMonitor::kMostRoutes + 5000; ++i) {
    std::ostringstream line;
    line << "add route " << std::hex << i + 1 << " prefix 2001:db8:42:" << (i & 0xffff)
         << "::/64 from ::/0 installed yes id 20:01:0d:b8:00:42:00:ff metric 1 refmetric 1 via fe80::1 if "
            "sixm1\n"
         << "add neighbour " << i + 1 << " address fe80::2 if sixm1 reach ffff cost 96\n"
         << "add xroute x prefix 2001:db8:" << (i & 0xffff) << "::/48 from ::/0 metric 0\n"
         << "add interface sixm" << i << " up true\n";
    lines += line.str();
    if (lines.size() > 60000) {
      REQUIRE(monitor.input(lines));
      lines.clear();
    }
  }
  CHECK(monitor.routes().size() == BabelMonitor::kMostRoutes);
  CHECK(monitor.neighbours().size() <= BabelMonitor::kMostNeighbours);
  CHECK(monitor.announced().size() == BabelMonitor::kMostNeighbours);
  CHECK(monitor.take_foreign().size() == BabelMonitor::kMostForeign);
  CHECK(monitor.overflowed() > 0);
  for (std::size_t i = 0; i < BabelMonitor::kMostCommands; ++i) REQUIRE(monitor.expect("#"));
  CHECK_FALSE(monitor.expect("#"));
}

// What babeld 1.12.1 of Debian told while links came and went, with lines left out that repeat the one before
// of the same thing.
TEST_CASE("babel: a recording of babeld") {
  std::ifstream file("tests/unit/client/babel/babeld-1.12.1.txt");
  REQUIRE(file);
  const client::Ownership rules{
      *net::Prefix::parse("2001:db8:42::/48"), net::PrefixV4::parse("203.0.113.0/24"),
      *net::Prefix::parse("2001:db8:42:a::/64"), net::PrefixV4::parse("203.0.113.80/29")};
  BabelMonitor monitor(rules);
  REQUIRE(monitor.expect("monitor"));
  std::size_t most_routes = 0;
  std::vector<mesh::ForeignAnnouncement> foreign;
  for (std::string line; std::getline(file, line);) {
    REQUIRE_MESSAGE(monitor.input(line + "\n"), line);
    most_routes = std::max(most_routes, monitor.routes().size());
    for (auto& news : monitor.take_foreign()) foreign.push_back(std::move(news));
  }
  CHECK(monitor.malformed() == 0);
  CHECK(monitor.is_complete());
  CHECK(monitor.version() == "babeld-1.12.1");
  CHECK(monitor.router_id() == "20:01:0d:b8:00:42:00:0a");
  CHECK(monitor.announced() == std::set<std::string>{"2001:db8:42:a::/64", "203.0.113.80/29"});
  // Two neighbours' prefixes of both families, and while it was there the liar's own; a default route.
  CHECK(most_routes == 6);
  REQUIRE(foreign.size() == 2);
  std::set<std::string> liars;
  for (const auto& news : foreign) {
    liars.insert(news.origin + (news.is_own ? " own" : "") + (news.is_followed ? " followed" : ""));
    CHECK(news.interface == "to-liar");
  }
  CHECK(liars == std::set<std::string>{"20:01:0d:b8:00:42:00:0d", "20:01:0d:b8:00:42:00:0d own"});
  for (const auto& route : monitor.routes()) CHECK(route.interface == "to-bob");
  REQUIRE(monitor.neighbours().size() == 1);
  CHECK(monitor.neighbours()[0].rtt == std::chrono::microseconds(137));
  CHECK(monitor.has_neighbour_on("to-cid"));
}
