// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/parameters.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "tests/unit/net/ipv6_packet.h"

using namespace sixlink;
using namespace sixlink::tunnel;
using sixlink::test::v6;

namespace {

// man/sixlink-tsp.7's example reply.
std::string info_xml(const std::string& name = "alice.users.example.net",
                     const std::string& dns = "2001:db8:53::53",
                     const std::string& prefix = "2001:0db8:00aa:bb00:0000:0000:0000:0000") {
  return "<tunnel action=\"info\" type=\"v6udpv4\" lifetime=\"604800\">\r\n  <server>\r\n"
         "    <address type=\"ipv4\">10.99.0.1</address>\r\n    <address "
         "type=\"ipv6\">2001:db8:f:f::1</address>\r\n"
         "  </server>\r\n  <client>\r\n    <address type=\"ipv4\">10.99.0.2</address>\r\n"
         "    <address type=\"ipv6\">2001:db8:f:f::2</address>\r\n    <address type=\"dn\">" +
         name +
         "</address>\r\n"
         "    <dns_server>\r\n      <address type=\"ipv6\">" +
         dns +
         "</address>\r\n    </dns_server>\r\n"
         "    <router>\r\n      <prefix length=\"56\">" +
         prefix +
         "</prefix>\r\n    </router>\r\n"
         "    <keepalive interval=\"30\">\r\n      <address type=\"ipv6\">2001:db8:f:f::1</address>\r\n    "
         "</keepalive>\r\n"
         "  </client>\r\n</tunnel>\r\n";
}

TunnelParameters example() {
  const auto info = tsp::parse_info(info_xml());
  REQUIRE(info.has_value());
  auto parameters = from_info(*info);
  parameters.host_type = HostType::kRouter;
  parameters.interface = "tun";
  parameters.local_outer = boost::asio::ip::make_address("192.0.2.2");
  parameters.local_port = 40000;
  parameters.server_port = 3653;
  parameters.home_interfaces = {"eth1", "eth2"};
  return parameters;
}

std::map<std::string, std::string> as_map(const Environment& environment) {
  std::map<std::string, std::string> result;
  for (const auto& variable : environment) {
    const auto equals = variable.find('=');
    REQUIRE(equals != std::string::npos);
    CHECK_MESSAGE(result.emplace(variable.substr(0, equals), variable.substr(equals + 1)).second, variable);
  }
  return result;
}

const TemplateContext kContext{"/usr/local/share/sixlink", "/run/sixlink/sixlink.record", "/run/sixlink", 1};

}  // namespace

TEST_CASE("parameters: the template gets every variable of gogoc's contract") {
  auto environment = as_map(template_environment(example(), kContext, Operation::kCreate));
  const std::map<std::string, std::string> expected{
      {"TSP_OPERATION", "TSP_TUNNEL_CREATION"},
      {"TSP_VERBOSE", "1"},
      {"TSP_HOME_DIR", "/usr/local/share/sixlink"},
      {"TSP_TUNNEL_MODE", "v6udpv4"},
      {"TSP_HOST_TYPE", "router"},
      {"TSP_TUNNEL_INTERFACE", "tun"},
      {"TSP_HOME_INTERFACE", "eth1"},
      {"TSP_CLIENT_ADDRESS_IPV4", "10.99.0.2"},
      {"TSP_CLIENT_ADDRESS_IPV6", "2001:db8:f:f::2"},
      {"TSP_CLIENT_DNS_ADDRESS_IPV6", "2001:db8:53::53"},
      {"TSP_CLIENT_DNS_NAME", "alice.users.example.net"},
      {"TSP_SERVER_ADDRESS_IPV4", "10.99.0.1"},
      {"TSP_SERVER_ADDRESS_IPV6", "2001:db8:f:f::1"},
      {"TSP_TUNNEL_PREFIXLEN", "128"},
      {"TSP_PREFIX", "2001:0db8:00aa:bb00"},
      {"TSP_PREFIXLEN", "56"},
      {"SIXLINK_RECORD", "/run/sixlink/sixlink.record"},
      {"SIXLINK_INTERFACE_KIND", "tun"},
      {"SIXLINK_MTU", "1280"},
      {"SIXLINK_DEFAULT_ROUTE", "backup"},
      {"SIXLINK_OUTER_SERVER", "10.99.0.1"},
      {"SIXLINK_OUTER_CLIENT", "192.0.2.2"},
      {"SIXLINK_OUTER_CLIENT_PORT", "40000"},
      {"SIXLINK_OUTER_SERVER_PORT", "3653"},
      {"SIXLINK_HOME_INTERFACES", "eth1 eth2"},
      {"SIXLINK_DNS_SERVERS", "2001:db8:53::53"},
      {"SIXLINK_STATE_DIR", "/run/sixlink"},
      {"SIXLINK_MSS_CLAMP", "no"},
  };
  for (const auto& [name, value] : expected) {
    CAPTURE(name);
    CHECK(environment[name] == value);
  }
  CHECK(environment.size() == expected.size());
}

TEST_CASE("parameters: what was not granted is there and empty") {
  auto parameters = example();
  parameters.host_type = HostType::kHost;
  parameters.home_interfaces.clear();
  parameters.client_name.clear();
  parameters.dns_servers.clear();
  parameters.prefix.reset();
  parameters.client_outer = boost::asio::ip::address();
  parameters.server_outer = boost::asio::ip::make_address("2001:db8:1::1");
  auto environment = as_map(template_environment(parameters, kContext, Operation::kTeardown));
  CHECK(environment["TSP_OPERATION"] == "TSP_TUNNEL_TEARDOWN");
  CHECK(environment["TSP_HOST_TYPE"] == "host");
  for (const char* name :
       {"TSP_HOME_INTERFACE", "TSP_CLIENT_DNS_NAME", "TSP_CLIENT_DNS_ADDRESS_IPV6", "TSP_PREFIX",
        "TSP_PREFIXLEN", "TSP_CLIENT_ADDRESS_IPV4", "TSP_SERVER_ADDRESS_IPV4"}) {
    CAPTURE(name);
    REQUIRE(environment.contains(name));
    CHECK(environment[name].empty());
  }
  CHECK(environment["SIXLINK_OUTER_SERVER"] == "2001:db8:1::1");
}

TEST_CASE("parameters: every enumerator has its word") {
  auto parameters = example();
  const auto value = [&](const char* name) {
    return as_map(template_environment(parameters, kContext, Operation::kCreate))[name];
  };
  parameters.host_type = HostType::kBroker;
  CHECK(value("TSP_HOST_TYPE") == "broker");
  parameters.default_route = DefaultRoute::kYes;
  CHECK(value("SIXLINK_DEFAULT_ROUTE") == "yes");
  parameters.default_route = DefaultRoute::kNo;
  CHECK(value("SIXLINK_DEFAULT_ROUTE") == "no");
  parameters.mode = tsp::Mode::kV6V4;
  CHECK(value("TSP_TUNNEL_MODE") == "v6v4");
  parameters.kind = InterfaceKind::kKernel;
  CHECK(value("SIXLINK_INTERFACE_KIND") == "kernel");
  CHECK(value("SIXLINK_MSS_CLAMP") == "yes");
  parameters.kind = InterfaceKind::kNone;
  CHECK(value("SIXLINK_INTERFACE_KIND") == "none");
  CHECK(value("SIXLINK_MSS_CLAMP") == "no");
}

TEST_CASE("parameters: in mode v4v6 the addresses change places") {
  tsp::TunnelInfo info;
  info.mode = tsp::Mode::kV4V6;
  info.client_v4 = boost::asio::ip::make_address_v4("203.0.113.2");
  info.server_v4 = boost::asio::ip::make_address_v4("203.0.113.1");
  info.client_v6 = v6("2001:db8::2");
  info.server_v6 = v6("2001:db8::1");
  info.prefix_v4 = net::PrefixV4::parse("203.0.113.8/29");
  const auto parameters = from_info(info);
  CHECK(parameters.client_inner == info.client_v4);
  CHECK(parameters.server_outer == info.server_v6);
  auto environment = as_map(template_environment(parameters, kContext, Operation::kCreate));
  CHECK(environment["TSP_TUNNEL_MODE"] == "v4v6");
  CHECK(environment["TSP_CLIENT_ADDRESS_IPV4"] == "203.0.113.2");
  CHECK(environment["TSP_SERVER_ADDRESS_IPV4"] == "203.0.113.1");
  CHECK(environment["TSP_CLIENT_ADDRESS_IPV6"] == "2001:db8::2");
  CHECK(environment["TSP_SERVER_ADDRESS_IPV6"] == "2001:db8::1");
  CHECK(environment["TSP_TUNNEL_PREFIXLEN"] == "32");
  CHECK(environment["TSP_PREFIX"] == "203.0.113.8");
  CHECK(environment["TSP_PREFIXLEN"] == "29");
  CHECK(environment["SIXLINK_OUTER_SERVER"] == "2001:db8::1");
}

TEST_CASE("parameters: the encapsulation's share of the path") {
  CHECK(encapsulation_overhead(tsp::Mode::kV6V4, false) == 20);
  CHECK(encapsulation_overhead(tsp::Mode::kV6UdpV4, false) == 28);
  CHECK(encapsulation_overhead(tsp::Mode::kV6UdpV4, true) == 48);
  CHECK(encapsulation_overhead(tsp::Mode::kV4V6, true) == 40);
  CHECK(least_mtu(tsp::Mode::kV6V4) == 1280);
  CHECK(least_mtu(tsp::Mode::kV4V6) == 576);
}

TEST_CASE("parameters: what keepalive and status need comes from the reply") {
  const auto parameters = example();
  CHECK(parameters.lifetime == std::chrono::seconds(604800));
  CHECK(parameters.keepalive_interval == std::chrono::seconds(30));
  CHECK(parameters.keepalive_address == v6("2001:db8:f:f::1"));
  CHECK(parameters.mtu == 1280);
  tsp::TunnelInfo info;
  info.mtu = 1472;
  CHECK(from_info(info).mtu == 1472);
  // More would only make fragments of the outer packets.
  info.mtu = 65535;
  CHECK(from_info(info).mtu == 1472);
}

TEST_CASE("parameters: nothing a hostile broker writes becomes more than a plain word for the shell") {
  const char* hostile[] = {"$(reboot)",
                           "`reboot`",
                           "a;reboot",
                           "a&#10;TSP_HOST_TYPE=broker",
                           "a\nPATH=/tmp",
                           "a&#13;b",
                           "a|b",
                           "a b",
                           "a&amp;b",
                           "a&gt;b",
                           "a'b",
                           "a&quot;b",
                           "*",
                           "-rf",
                           "a\\b",
                           "../../etc/passwd",
                           "fe80::1%$(reboot)",
                           "2001:db8::1%eth0",
                           "2001:db8::1;reboot",
                           "2001:db8::1&#10;x",
                           "\xff\xfe",
                           "~root"};
  constexpr std::string_view kPlain = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.:-";
  const auto check = [&](const std::string& xml) {
    const auto info = tsp::parse_info(xml);
    if (!info) return;
    auto parameters = from_info(*info);
    parameters.interface = "tun0";
    for (const auto& [name, value] :
         as_map(template_environment(parameters, {"", "", "", 0}, Operation::kCreate))) {
      CAPTURE(name);
      CAPTURE(value);
      CHECK(value.find_first_not_of(kPlain) == std::string::npos);
      CHECK_FALSE(value.starts_with('-'));
    }
  };
  const std::string good = info_xml();
  const char* values[] = {"v6udpv4",
                          "604800",
                          "10.99.0.1",
                          "2001:db8:f:f::1",
                          "10.99.0.2",
                          "2001:db8:f:f::2",
                          "alice.users.example.net",
                          "2001:db8:53::53",
                          "56",
                          "2001:0db8:00aa:bb00:0000:0000:0000:0000",
                          "\"30\""};
  for (const char* text : hostile) {
    CAPTURE(text);
    for (const std::string value : values) {
      // In its place, before it and after it.
      for (const auto& replacement : {std::string(text), text + value, value + text}) {
        auto xml = good;
        xml.replace(xml.find(value), value.size(), replacement);
        check(xml);
      }
    }
  }
  check(good);
}

TEST_CASE("parameters: a tunnel whose outer packets would go into it is seen") {
  using boost::asio::ip::make_address;
  TunnelParameters sound;
  sound.mode = tsp::Mode::kV6V4;
  sound.local_outer = make_address("192.0.2.2");
  sound.server_outer = make_address("198.51.100.1");
  sound.client_inner = make_address("2001:db8:f:f::2");
  sound.server_inner = make_address("2001:db8:f:f::1");
  sound.prefix = net::Prefix::parse("2001:db8:aa::/48");
  CHECK(loop_in(sound).empty());
  auto own = sound;
  own.server_outer = own.local_outer;
  CHECK(loop_in(own).find("this machine's own") != std::string::npos);
  own.mode = tsp::Mode::kV6UdpV4;
  CHECK(loop_in(own).empty());
  // v6udpv4 over IPv6.
  auto over_v6 = sound;
  over_v6.mode = tsp::Mode::kV6UdpV4;
  over_v6.local_outer = make_address("2001:db8:1::2");
  over_v6.server_outer = make_address("2001:db8:99::1");
  CHECK(loop_in(over_v6).empty());
  over_v6.prefix = net::Prefix::parse("2001:db8:99::/48");
  CHECK(loop_in(over_v6).find("delegated prefix") != std::string::npos);
  over_v6.prefix = net::Prefix::parse("2001:db8:1::/48");
  CHECK_FALSE(loop_in(over_v6).empty());
  over_v6.prefix.reset();
  over_v6.server_inner = over_v6.server_outer;
  CHECK(loop_in(over_v6).find("outside and inside") != std::string::npos);
}
