// SPDX-License-Identifier: BSD-3-Clause
// Mode wireguard as a tunnel's record, as `wg setconf` reads it, and as a template is told of it.
#include "src/tunnel/wireguard_conf.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace sixlink;
using namespace sixlink::tunnel;
using boost::asio::ip::make_address;

namespace {

constexpr std::string_view kPrivate = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";

tsp::TunnelInfo info(bool has_v4 = true) {
  tsp::TunnelInfo made;
  made.mode = tsp::Mode::kWireguard;
  made.server_v6 = *net::parse_v6("2001:db8:f:f::1");
  made.client_v6 = *net::parse_v6("2001:db8:f:f::2");
  if (has_v4) {
    made.server_v4 = boost::asio::ip::make_address_v4("203.0.113.1");
    made.client_v4 = boost::asio::ip::make_address_v4("203.0.113.2");
  }
  made.wireguard.emplace().key = *pki::WireguardKey::parse("3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=");
  return made;
}

TunnelParameters parameters(bool has_v4 = true) {
  auto made = from_info(info(has_v4));
  made.server_outer = make_address("198.51.100.10");
  made.server_port = 3653;
  return made;
}

bool has(const Environment& environment, const std::string& variable) {
  return std::find(environment.begin(), environment.end(), variable) != environment.end();
}

}  // namespace

TEST_CASE("wireguard record: all addresses are inner ones, and the endpoint is outside") {
  auto granted = info();
  granted.wireguard->endpoint_address = make_address("198.51.100.11");
  granted.wireguard->endpoint_port = 51820;
  const auto record = from_info(granted);
  CHECK(record.client_inner == make_address("2001:db8:f:f::2"));
  CHECK(record.client_inner_v4 == boost::asio::ip::make_address_v4("203.0.113.2"));
  CHECK(record.server_inner_v4 == boost::asio::ip::make_address_v4("203.0.113.1"));
  CHECK(record.client_outer.is_unspecified());
  CHECK(record.server_outer == make_address("198.51.100.11"));
  CHECK(record.server_port == 51820);
  CHECK_FALSE(from_info(info(false)).client_inner_v4);
  CHECK(encapsulation_overhead(tsp::Mode::kWireguard, false) == 60);
  CHECK(encapsulation_overhead(tsp::Mode::kWireguard, true) == 80);
  CHECK(least_mtu(tsp::Mode::kWireguard) == 1280);
}

TEST_CASE("wireguard record: what is allowed is what was granted, else everything that it has") {
  CHECK(allowed_of(parameters()).size() == 2);
  CHECK(allowed_of(parameters(false)) == std::vector{net::Prefix{net::AddressV6(), 0}});
  auto some = parameters();
  some.wireguard->allowed = {*net::Prefix::parse("2001:db8::/32")};
  CHECK(allowed_of(some) == some.wireguard->allowed);
}

TEST_CASE("wireguard record: an endpoint inside the tunnel is a loop") {
  auto record = parameters();
  record.local_outer = make_address("192.0.2.1");
  CHECK(loop_in(record).empty());
  record.server_outer = make_address("203.0.113.1");
  CHECK_FALSE(loop_in(record).empty());
  record.server_outer = make_address("2001:db8:f:f::1");
  CHECK_FALSE(loop_in(record).empty());
}

TEST_CASE("wireguard conf: `wg setconf` is told key, peer, endpoint and what is allowed") {
  const auto pair = pki::WireguardKeyPair::parse(kPrivate);
  REQUIRE(pair);
  CHECK(wireguard_conf(*pair, parameters()).reveal() ==
        "[Interface]\n"
        "PrivateKey = dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n"
        "\n"
        "[Peer]\n"
        "PublicKey = 3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=\n"
        "Endpoint = 198.51.100.10:3653\n"
        "AllowedIPs = ::/0, 0.0.0.0/0\n");
  auto over_v6 = parameters(false);
  over_v6.server_outer = make_address("2001:db8:99::1");
  const auto text = wireguard_conf(*pair, over_v6);
  CHECK(text.reveal().find("Endpoint = [2001:db8:99::1]:3653\nAllowedIPs = ::/0\n") != std::string::npos);
}

TEST_CASE("wireguard template: the environment has the path of the key's file, and no key") {
  auto record = parameters();
  record.kind = InterfaceKind::kKernel;
  record.interface = "wg6";
  record.wireguard_conf = "/var/lib/sixlink/sixlink.wireguard.conf";
  const auto environment = template_environment(record, {}, Operation::kCreate);
  CHECK(has(environment, "TSP_TUNNEL_MODE=wireguard"));
  CHECK(has(environment, "TSP_CLIENT_ADDRESS_IPV4=203.0.113.2"));
  CHECK(has(environment, "TSP_SERVER_ADDRESS_IPV4=203.0.113.1"));
  CHECK(has(environment, "TSP_CLIENT_ADDRESS_IPV6=2001:db8:f:f::2"));
  CHECK(has(environment, "SIXLINK_OUTER_SERVER=198.51.100.10"));
  CHECK(has(environment, "SIXLINK_ALLOWED=::/0 0.0.0.0/0"));
  CHECK(has(environment, "SIXLINK_WIREGUARD_CONF=/var/lib/sixlink/sixlink.wireguard.conf"));
  for (const auto& variable : environment) CHECK(variable.find(kPrivate) == std::string::npos);
  CHECK(has(template_environment(parameters(false), {}, Operation::kCreate), "TSP_CLIENT_ADDRESS_IPV4="));
  auto plain = record;
  plain.mode = tsp::Mode::kV6UdpV4;
  for (const auto& variable : template_environment(plain, {}, Operation::kCreate))
    CHECK_FALSE(variable.starts_with("SIXLINK_WIREGUARD"));
}
