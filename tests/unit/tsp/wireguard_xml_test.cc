// SPDX-License-Identifier: BSD-3-Clause
#include "src/tsp/wireguard_xml.h"

#include <doctest/doctest.h>

#include "src/tsp/status.h"

using namespace sixlink;
using namespace sixlink::tsp;

namespace {

constexpr std::string_view kClientKey = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";
constexpr std::string_view kServerKey = "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=";

// The protocol's documentation, verbatim but for the line ends.
std::string crlf(std::string text) {
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2)
    text.replace(at, 1, "\r\n");
  return text;
}

const std::string kCreate = crlf(R"(<tunnel action="create" type="wireguard" proxy="no">
 <client>
  <address type="ipv4">10.99.0.2</address>
  <key type="wireguard">hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=</key>
  <keepalive interval="30">
    <address type="ipv6">::</address>
  </keepalive>
 </client>
</tunnel>
)");

const std::string kInfo = crlf(R"(<tunnel action="info" type="wireguard" lifetime="604800" mtu="1420">
  <server>
    <address type="ipv4">203.0.113.1</address>
    <address type="ipv6">2001:db8:f:f::1</address>
    <key type="wireguard">3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=</key>
    <endpoint port="51820">
      <address type="ipv4">198.51.100.10</address>
    </endpoint>
    <allowed>
      <prefix length="0">0000:0000:0000:0000:0000:0000:0000:0000</prefix>
      <prefix type="ipv4" length="0">0.0.0.0</prefix>
    </allowed>
  </server>
  <client>
    <address type="ipv4">203.0.113.2</address>
    <address type="ipv6">2001:db8:f:f::2</address>
    <dns_server>
      <address type="ipv6">2001:db8:53::53</address>
    </dns_server>
    <router>
      <prefix length="56">2001:0db8:00aa:bb00:0000:0000:0000:0000</prefix>
    </router>
    <keepalive interval="30">
      <address type="ipv6">2001:db8:f:f::1</address>
    </keepalive>
  </client>
</tunnel>
)");

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("wireguard xml: the documented create is written byte for byte and read back") {
  CreateRequest request;
  request.mode = Mode::kWireguard;
  request.client_address = boost::asio::ip::make_address("10.99.0.2");
  request.keepalive_interval = std::chrono::seconds(30);
  request.wireguard_key = pki::WireguardKey::parse(kClientKey);
  CHECK(request.to_xml() == kCreate);
  const auto read = parse_create(kCreate);
  REQUIRE(read.has_value());
  CHECK(read->mode == Mode::kWireguard);
  CHECK(read->wireguard_key == request.wireguard_key);
  CHECK(read->to_xml() == kCreate);
}

TEST_CASE("wireguard xml: the documented info is written byte for byte and read back") {
  const auto info = parse_info(kInfo);
  REQUIRE(info.has_value());
  CHECK(info->to_xml() == kInfo);
  CHECK(info->mode == Mode::kWireguard);
  CHECK(info->client_v4.to_string() == "203.0.113.2");
  CHECK(info->client_v6.to_string() == "2001:db8:f:f::2");
  REQUIRE(info->wireguard);
  CHECK(info->wireguard->key.to_string() == kServerKey);
  CHECK(info->wireguard->endpoint_port == 51820);
  CHECK(info->wireguard->endpoint_address.to_string() == "198.51.100.10");
  REQUIRE(info->wireguard->allowed.size() == 2);
  CHECK(info->wireguard->allowed[0].to_string() == "::/0");
  CHECK(net::unmapped(info->wireguard->allowed[1])->to_string() == "0.0.0.0/0");
}

TEST_CASE("wireguard xml: endpoint, allowed prefixes and IPv4 may be left out") {
  auto xml = kInfo;
  for (const auto part : {"    <address type=\"ipv4\">203.0.113.1</address>\r\n",
                          "    <address type=\"ipv4\">203.0.113.2</address>\r\n"})
    xml = replaced(xml, part, "");
  const auto endpoint = xml.find("    <endpoint");
  xml.erase(endpoint, xml.find("  </server>") - endpoint);
  const auto info = parse_info(xml);
  REQUIRE(info.has_value());
  CHECK(info->to_xml() == xml);
  CHECK(info->client_v4.is_unspecified());
  CHECK(info->wireguard->endpoint_port == 0);
  CHECK(info->wireguard->endpoint_address.is_unspecified());
  CHECK(info->wireguard->allowed.empty());
  const auto only_port = parse_info(replaced(xml, "  </server>", "<endpoint port=\"5\"/></server>"));
  REQUIRE(only_port.has_value());
  CHECK(only_port->wireguard->endpoint_port == 5);
}

TEST_CASE("wireguard xml: what is wrong is refused by its name") {
  const auto refused = [](const std::string& xml, std::string_view word) {
    CAPTURE(xml);
    const auto info = parse_info(xml);
    REQUIRE_FALSE(info.has_value());
    CAPTURE(info.error().message);
    CHECK(info.error().message.find(word) != std::string::npos);
    CHECK(info.error().message == printable(info.error().message, 10000));
  };
  refused(replaced(kInfo, kServerKey, "3p7bfXt9wbTTW2HC7OQ1Nz"), "key");
  refused(replaced(kInfo, kServerKey, ""), "key");
  refused(replaced(kInfo, "<key type=\"wireguard\">", "<key type=\"other\">"), "key");
  refused(replaced(kInfo, kServerKey, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), "key");
  refused(replaced(kInfo, "port=\"51820\"", "port=\"0\""), "port");
  refused(replaced(kInfo, "port=\"51820\"", "port=\"65536\""), "port");
  refused(replaced(kInfo, "198.51.100.10", "224.0.0.1"), "endpoint");
  refused(replaced(kInfo, "\"ipv4\">198.51.100.10", "\"ipv6\">fe80::1"), "endpoint");
  refused(replaced(kInfo, "length=\"0\">0.0.0.0", "length=\"33\">0.0.0.0"), "allowed");
  refused(replaced(kInfo, "length=\"0\">0.0.0.0", "length=\"8\">10.0.0.1"), "allowed");
  refused(replaced(kInfo, "length=\"0\">0000:", "length=\"96\">0000:0000:0000:0000:0000:ffff::x"), "allowed");
  refused(replaced(kInfo, "<address type=\"ipv4\">203.0.113.1</address>", ""), "IPv4");
  refused(replaced(kInfo, "203.0.113.2", "203.0.113.1"), "IPv4");
  refused(replaced(kInfo, "2001:db8:f:f::2", "2001:db8:f:f::1"), "IPv6");
  std::string many;
  for (std::size_t i = 0; i <= kMostAllowed; ++i) many += "<prefix length=\"128\">2001:db8::1</prefix>";
  refused(replaced(kInfo, "</allowed>", many + "</allowed>"), "more than");

  const auto create = parse_create(replaced(kCreate, kClientKey, "nonsense"));
  REQUIRE_FALSE(create.has_value());
  CHECK(create.error().status == kInvalidRequest);
  // What somebody mistook for it may be secret.
  CHECK(create.error().message.find("nonsense") == std::string::npos);
  CHECK_FALSE(parse_create(replaced(kCreate, "key", "kez")).has_value());
}

TEST_CASE("wireguard xml: other modes do not see what is this mode's") {
  const auto create =
      parse_create(replaced(replaced(kCreate, "wireguard", "v6anyv4"), kClientKey, "nonsense"));
  REQUIRE(create.has_value());
  CHECK_FALSE(create->wireguard_key);
  const auto info = parse_info(replaced(kInfo, "type=\"wireguard\"", "type=\"v6udpv4\""));
  REQUIRE(info.has_value());
  CHECK_FALSE(info->wireguard);
}
