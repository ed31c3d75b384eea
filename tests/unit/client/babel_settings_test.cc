// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/babel_settings.h"

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

using namespace sixlink;
using client::BabelSettings;

namespace {

BabelSettings settings() {
  BabelSettings value;
  value.network = *net::Prefix::parse("2001:db8:42::/48");
  value.prefix = *net::Prefix::parse("2001:db8:42:7::/64");
  return value;
}

// The lines that begin with this word, in their order.
std::vector<std::string> lines_of(const std::string& text, const std::string& word) {
  std::vector<std::string> result;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with(word + " ")) result.push_back(line);
  return result;
}
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("babel settings: a node believes what is of the network, and announces its own prefix") {
  const auto text = babel_configuration(settings(), 3999, {});
  CHECK(lines_of(text, "in") == Lines{"in src-ip ::/0 src-ge 1 deny", "in ip 2001:db8:42:7::/64 metric 65534",
                                      "in ip ::/0 eq 0 deny", "in ip 2001:db8:42::/48 ge 49 le 64 allow",
                                      "in metric 65534"});
  CHECK(lines_of(text, "install") == Lines{"install ip 2001:db8:42:7::/64 deny", "install ip ::/0 eq 0 allow",
                                           "install ip 2001:db8:42::/48 ge 49 le 64 allow", "install deny"});
  CHECK(lines_of(text, "redistribute") == Lines{"redistribute ip 2001:db8:42:7::/64 eq 64 proto 4 allow",
                                                "redistribute local deny", "redistribute deny"});
  CHECK(lines_of(text, "router-id") == Lines{"router-id 20:01:0d:b8:00:42:00:07"});
  CHECK(lines_of(text, "kernel-priority") == Lines{"kernel-priority 3999"});
  CHECK(lines_of(text, "import-table") == Lines{"import-table 3653"});
  CHECK(lines_of(text, "export-table") == Lines{"export-table 254"});
}

TEST_CASE("babel settings: default routes are announced by gateways and taken by others") {
  auto node = settings();
  node.accepts_default = true;
  node.default_table = 100;
  node.source = *net::parse_v6("2001:db8:42:7::1");
  auto text = babel_configuration(node, 3999, {});
  CHECK(text.find("\nin ip ::/0 eq 0 allow\n") != std::string::npos);
  CHECK(text.find("\ninstall ip ::/0 eq 0 table 100 pref-src 2001:db8:42:7::1 allow\n") != std::string::npos);
  CHECK(text.find("redistribute ip ::/0") == std::string::npos);

  node.is_gateway = true;
  text = babel_configuration(node, 3999, {});
  CHECK(text.find("\nin ip ::/0 eq 0 deny\n") != std::string::npos);
  CHECK(text.find("\nredistribute ip ::/0 eq 0 proto 4 allow\n") != std::string::npos);
}

TEST_CASE("babel settings: gateways come in the order of preference") {
  auto node = settings();
  node.accepts_default = true;
  node.preferred_gateways = {*net::Prefix::parse("2001:db8:42:1::/64"),
                             *net::Prefix::parse("2001:db8:42:2::/64")};
  const auto text = babel_configuration(node, 3999, {});
  CHECK(text.find("\nin ip ::/0 eq 0 id 20:01:0d:b8:00:42:00:01 allow\n"
                  "in ip ::/0 eq 0 id 20:01:0d:b8:00:42:00:02 metric 12000\n"
                  "in ip ::/0 eq 0 metric 24000\n") != std::string::npos);
}

TEST_CASE("babel settings: IPv4 inside of the overlay") {
  auto node = settings();
  CHECK(babel_configuration(node, 3999, {}).find("203.0.113") == std::string::npos);
  node.network_v4 = net::PrefixV4::parse("203.0.113.0/24");
  node.prefix_v4 = net::PrefixV4::parse("203.0.113.8/29");
  node.source_v4 = net::parse_v4("203.0.113.9");
  const auto text = babel_configuration(node, 3999, {});
  CHECK(text.find("\nin ip 203.0.113.8/29 metric 65534\n") != std::string::npos);
  CHECK(text.find("\nin ip 0.0.0.0/0 eq 0 deny\nin ip 203.0.113.0/24 ge 25 allow\n") != std::string::npos);
  CHECK(text.find("\ninstall ip 203.0.113.0/24 ge 25 pref-src 203.0.113.9 allow\n") != std::string::npos);
  CHECK(text.find("\nredistribute ip 203.0.113.8/29 eq 29 proto 4 allow\n") != std::string::npos);
}

TEST_CASE("babel settings: what is refused besides is refused first") {
  const auto text = babel_configuration(
      settings(), 3999,
      {{*net::Prefix::parse("2001:db8:42:77::/64"), *client::parse_router_id("20:01:0d:b8:00:42:00:0d")}});
  const auto lines = lines_of(text, "in");
  REQUIRE(lines.size() > 2);
  CHECK(lines[1] == "in ip 2001:db8:42:77::/64 eq 64 id 20:01:0d:b8:00:42:00:0d deny");
}

TEST_CASE("babel settings: an interface's line") {
  auto node = settings();
  CHECK(babel_interface(node, "sixm1", 0) ==
        "interface sixm1 type tunnel link-quality true split-horizon true rxcost 96 hello-interval 4 "
        "enable-timestamps true rtt-decay 125 rtt-min 10 rtt-max 500 max-rtt-penalty 5000");
  node.hello_interval = std::chrono::milliseconds(1250);
  const auto line = babel_interface(node, "sixm1", 4294967295U);
  CHECK(line.find(" rxcost 65534 ") != std::string::npos);
  CHECK(line.find(" hello-interval 1.250 ") != std::string::npos);
  node.hello_interval = std::chrono::milliseconds(50);
  CHECK(babel_interface(node, "sixm1", 1).find(" hello-interval 0.050 ") != std::string::npos);
}

TEST_CASE("babel settings: a name can add no line and no words") {
  for (const char* good : {"sixm1", "eth0.5", "wg-a_b", "a23456789012345"})
    CHECK_MESSAGE(client::is_babel_interface_name(good), good);
  for (const char* bad : {"", "a b", "a\nin allow", "a\"", "a#b", "a/b", "a234567890123456", "\xc3\xa4"})
    CHECK_FALSE_MESSAGE(client::is_babel_interface_name(bad), bad);
}

TEST_CASE("babel settings: the state file keeps the sequence number of this router alone") {
  const auto id = *client::parse_router_id("20:01:0d:b8:00:42:00:07");
  CHECK(client::sequence_of_state("20:01:0d:b8:00:42:00:07 45000 1772366400\n", id) == 45000);
  CHECK(client::sequence_of_state(client::state_with_sequence(65535, id), id) == 65535);
  for (const char* bad : {"", "20:01:0d:b8:00:42:00:08 45000 1\n", "20:01:0d:b8:00:42:00:07 ",
                          "20:01:0d:b8:00:42:00:07 70000 1", "20:01:0d:b8:00:42:00:07 -1 1",
                          "20:01:0d:b8:00:42:00:07 45000", "20:01:0d:b8:00:42:00:07 45000x 1"})
    CHECK_FALSE_MESSAGE(client::sequence_of_state(bad, id), bad);
}
