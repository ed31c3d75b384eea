// SPDX-License-Identifier: BSD-3-Clause
#include "src/tsp/tunnel_xml.h"

#include <doctest/doctest.h>

#include "src/tsp/message.h"
#include "src/tsp/status.h"
#include "tests/unit/tsp/recorded_tunnel.h"

using namespace sixlink::tsp;
using namespace sixlink::tsp::test;
using namespace std::string_literals;
using sixlink::net::parse_v6;
using sixlink::net::Prefix;
using sixlink::net::PrefixV4;

namespace {

// The protocol's documentation, verbatim but for the line ends.
std::string crlf(std::string text) {
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2)
    text.replace(at, 1, "\r\n");
  return text;
}

const std::string kCreate = crlf(R"(<tunnel action="create" type="v6anyv4" proxy="no">
 <client>
  <address type="ipv4">10.99.0.2</address>
  <keepalive interval="30">
    <address type="ipv6">::</address>
  </keepalive>
  <router>
   <prefix length="56"/>
   <dns_server>
     <address type="dn">ns1.example.net</address>
   </dns_server>
  </router>
 </client>
</tunnel>
)");

const std::string kInfo = crlf(R"(<tunnel action="info" type="v6udpv4" lifetime="604800">
  <server>
    <address type="ipv4">10.99.0.1</address>
    <address type="ipv6">2001:db8:f:f::1</address>
  </server>
  <client>
    <address type="ipv4">10.99.0.2</address>
    <address type="ipv6">2001:db8:f:f::2</address>
    <address type="dn">alice.users.example.net</address>
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

TunnelInfo documented_info() {
  auto info = recorded_tunnels().front().tunnel;
  info.client_name = "alice.users.example.net";
  info.prefix = Prefix::parse("2001:db8:aa:bb00::/56");
  info.keepalive_interval = std::chrono::seconds(30);
  return info;
}

}  // namespace

TEST_CASE("xml: the documented create is written byte for byte and read back") {
  CreateRequest request;
  request.client_address = boost::asio::ip::make_address("10.99.0.2");
  request.keepalive_interval = std::chrono::seconds(30);
  request.is_router = true;
  request.prefix_length = 56;
  request.dns_servers = {"ns1.example.net"};
  CHECK(request.to_xml() == kCreate);
  const auto read = parse_create(kCreate);
  REQUIRE(read.has_value());
  CHECK(read->mode == Mode::kV6AnyV4);
  CHECK(read->to_xml() == kCreate);
  CHECK(*parse_action(kCreate) == Action::kCreate);
}

TEST_CASE("xml: v4v6 asks with an IPv6 address and an IPv4 keepalive") {
  CreateRequest request;
  request.mode = Mode::kV4V6;
  request.client_address = boost::asio::ip::make_address("2001:db8::2");
  request.keepalive_interval = std::chrono::seconds(30);
  const auto xml = request.to_xml();
  CHECK(xml.find("<address type=\"ipv6\">2001:db8::2</address>") != std::string::npos);
  CHECK(xml.find("<address type=\"ipv4\">127.0.0.1</address>") != std::string::npos);
  CHECK(parse_create(xml)->to_xml() == xml);
}

TEST_CASE("xml: the documented info is written byte for byte and read back") {
  const auto info = documented_info();
  CHECK(info.to_xml() == kInfo);
  const auto read = parse_info(kInfo);
  REQUIRE(read.has_value());
  CHECK(read->to_xml() == kInfo);
  CHECK(read->lifetime.count() == 604800);
  CHECK(read->client_name == "alice.users.example.net");
  CHECK(read->prefix == Prefix::parse("2001:db8:aa:bb00::/56"));
  CHECK_FALSE(read->mtu);
}

TEST_CASE("xml: v4v6 grants IPv4 inside and an IPv4 prefix") {
  TunnelInfo info;
  info.mode = Mode::kV4V6;
  info.server_v4 = boost::asio::ip::make_address_v4("203.0.113.1");
  info.client_v4 = boost::asio::ip::make_address_v4("203.0.113.2");
  info.server_v6 = *parse_v6("2001:db8::1");
  info.client_v6 = *parse_v6("2001:db8::2");
  info.mtu = 1240;
  info.prefix_v4 = PrefixV4::parse("203.0.113.8/29");
  info.keepalive_interval = std::chrono::seconds(30);
  info.keepalive_address = info.server_v4;
  const auto xml = info.to_xml();
  CHECK(xml.find("<prefix length=\"29\">203.0.113.8</prefix>") != std::string::npos);
  const auto read = parse_info(xml);
  if (!read) FAIL(read.error().message);
  CHECK(read->to_xml() == xml);
  CHECK(read->prefix_v4 == info.prefix_v4);
  CHECK(read->keepalive_address == info.keepalive_address);
  for (const auto& [from, to, status] : std::initializer_list<std::tuple<const char*, const char*, int>>{
           {"ipv4\">203.0.113.1<", "ipv4\">203.0.113.2<", 501},  // both ends the same
           {">203.0.113.8<", ">203.0.113.9<", 501},              // host bits
           {">203.0.113.8<", ">2001:db8::<", 501},               // of the other family
           {"length=\"29\"", "length=\"33\"", 520},              // no such length
           {"length=\"29\"", "length=\"1\"", 520},               // half the Internet
           {"mtu=\"1240\"", "mtu=\"575\"", 500},                 // below IPv4's least
           {"ipv4\">203.0.113.1</address>\r\n    </k", "ipv4\">::1</address>\r\n    </k", 500}}) {
    const auto wrong = parse_info(replaced(xml, from, to));
    INFO(to);
    REQUIRE(wrong.has_error());
    CHECK(wrong.error().status == status);
  }
  CHECK(parse_info(replaced(xml, ">203.0.113.8<", ">203.0.113.0<")).error().message.find("own address") !=
        std::string::npos);
}

TEST_CASE("xml: the accept of deployed clients") {
  CHECK(*parse_action("<tunnel action=\"accept\"></tunnel>\r\n") == Action::kAccept);
  CHECK(*parse_action("<tunnel action=\"accept\"></tunnel>\r\n\0"s) == Action::kAccept);
  CHECK(*parse_action("<tunnel action='delete'/>") == Action::kDelete);
  CHECK_FALSE(parse_action("<tunnel action=\"destroy\"/>").has_value());
  CHECK_FALSE(parse_action("<tunnel/>").has_value());
}

TEST_CASE(
    "xml: any well-formed XML is accepted: quotes, case, CDATA, comments, declaration, spaces, unknown "
    "elements") {
  const auto odd = parse_info(R"(<?xml version='1.0'?><!-- hello --><TUNNEL ACTION='INFO'
      Type=' V6UDPV4 ' unknown="1"><strange><server/></strange>
    <Server><address TYPE='IPv4'> 10.99.0.1
      </address><address type="ipv6"><![CDATA[2001:DB8:F:F::1]]></address></Server>
    <client><address type="ipx">1</address><address type="ipv6"><!-- mine -->2001:db8:f:f::2</address><address type="ipv4">10.99.0.2</address>
      <router><prefix length='56'>2001:db8:aa:bb00::/56</prefix></router></client></TUNNEL>)");
  if (!odd) FAIL(odd.error().message);
  CHECK(odd->server_v4.to_string() == "10.99.0.1");
  CHECK(odd->server_v6 == *parse_v6("2001:db8:f:f::1"));
  CHECK(odd->client_v6 == *parse_v6("2001:db8:f:f::2"));
  CHECK(odd->prefix == Prefix::parse("2001:db8:aa:bb00::/56"));
  CHECK_FALSE(odd->keepalive_interval);
}

TEST_CASE("xml: host bits of a delegated prefix are cleared, its length may stand in the text") {
  const auto info =
      parse_info(replaced(kInfo, "<prefix length=\"56\">2001:0db8:00aa:bb00:0000:0000:0000:0000",
                          "<prefix>2001:db8:aa:bb12::9/56"));
  REQUIRE(info.has_value());
  CHECK(info->prefix == Prefix::parse("2001:db8:aa:bb00::/56"));
}

TEST_CASE("xml: an info with unusable values is refused with its status") {
  const std::tuple<const char*, const char*, int> kCases[] = {
      {"type=\"v6udpv4\"", "type=\"v6anyv4\"", 500},
      {"type=\"v6udpv4\"", "type=\"v9v9\"", 500},
      {"type=\"v6udpv4\"", "", 500},
      {"action=\"info\"", "action=\"create\"", 500},
      {"lifetime=\"604800\"", "lifetime=\"-1\"", 500},
      {"lifetime=\"604800\"", "lifetime=\"99999999999999999999\"", 500},
      {"lifetime=\"604800\"", "mtu=\"1279\"", 500},
      {"lifetime=\"604800\"", "mtu=\"65536\"", 500},
      {"lifetime=\"604800\"", "mtu=\"1280; reboot\"", 500},
      {">10.99.0.1<", ">0.0.0.0<", 501},
      {">10.99.0.1<", ">255.255.255.255<", 501},
      {">10.99.0.1<", ">224.0.0.1<", 501},
      {">10.99.0.1<", ">10.99.0.1; reboot<", 501},
      {">10.99.0.1<", ">10.99.0<", 501},
      {">10.99.0.1<", "><", 501},
      {">10.99.0.2<", ">$(reboot)<", 501},
      {">2001:db8:f:f::1<", ">::<", 502},
      {">2001:db8:f:f::1<", ">::1<", 502},
      {">2001:db8:f:f::1<", ">fe80::1<", 502},
      {">2001:db8:f:f::1<", ">ff02::1<", 502},
      {">2001:db8:f:f::1<", ">2001:db8:f:f::1%eth0<", 502},
      {">2001:db8:f:f::1<", ">::ffff:192.0.2.1<", 502},
      {">2001:db8:f:f::2<", ">2001:db8:f:f::1<", 502},
      {">2001:db8:f:f::2<", ">2001:db8:f:f::2 dev eth0<", 502},
      {">2001:db8:53::53<", ">x<", 502},
      {"length=\"56\"", "length=\"0\"", 520},
      {"length=\"56\"", "length=\"128\"", 520},
      {"length=\"56\"", "length=\"-56\"", 520},
      {"length=\"56\"", "", 520},
      {">2001:0db8:00aa:bb00:0000:0000:0000:0000<", ">fe80::<", 502},
      {">2001:0db8:00aa:bb00:0000:0000:0000:0000<", "><", 502},
      {"interval=\"30\"", "interval=\"0\"", 500},
      {"interval=\"30\"", "interval=\"1e9\"", 500},
      {"<server>", "<sever>", 500},
      {"</tunnel>", "", 500},
  };
  for (const auto& [from, to, status] : kCases) {
    CAPTURE(from);
    CAPTURE(to);
    const auto info = parse_info(replaced(kInfo, from, to));
    CHECK_FALSE(info.has_value());
    if (info.has_error()) {
      CHECK(info.error().status == status);
      CHECK_FALSE(info.error().message.empty());
    }
  }
}

TEST_CASE("xml: a create with unusable values is refused with its status") {
  const std::tuple<const char*, const char*, int> kCases[] = {
      {"type=\"v6anyv4\"", "type=\"v7\"", 303},
      {"type=\"v6anyv4\"", "", 303},
      {"action=\"create\"", "action=\"info\"", 500},
      {">10.99.0.2<", ">10.99.0.256<", 501},
      {">10.99.0.2<", ">0.0.0.0<", 501},
      {">10.99.0.2<", ">239.1.1.1<", 501},
      {"type=\"ipv4\"", "type=\"dn\"", 501},
      // An IPv6 address is taken whatever is asked for, but it must be one.
      {"type=\"ipv4\"", "type=\"ipv6\"", 502},
      {"type=\"v6anyv4\"", "type=\"v4v6\"", 502},
      {"interval=\"30\"", "interval=\"-30\"", 500},
      {"interval=\"30\"", "interval=\"99999999999\"", 500},
      {"length=\"56\"", "length=\"129\"", 520},
      {"length=\"56\"", "length=\"\"", 520},
      {">ns1.example.net<", ">ns1;reboot<", 509},
      {">ns1.example.net<", ">-x<", 509},
      {"<client>", "<cleint>", 500},
  };
  for (const auto& [from, to, status] : kCases) {
    CAPTURE(from);
    CAPTURE(to);
    const auto create = parse_create(replaced(kCreate, from, to));
    CHECK_FALSE(create.has_value());
    if (create.has_error()) CHECK(create.error().status == status);
  }
}

TEST_CASE("xml: truncated at every byte nothing crashes, and nothing is accepted before the end tag") {
  for (const auto& text : {kCreate, kInfo}) {
    for (std::size_t size = 0; size < text.find("</tunnel>") + 9; ++size) {
      CAPTURE(size);
      const auto cut = text.substr(0, size);
      CHECK_FALSE(parse_action(cut).has_value());
      CHECK_FALSE(parse_create(cut).has_value());
      CHECK_FALSE(parse_info(cut).has_value());
      CHECK_FALSE(parse_redirect(cut).has_value());
    }
  }
}

TEST_CASE("xml: bombs are refused") {
  const auto refused = [](const std::string& xml) {
    return !parse_action(xml) && !parse_create(xml) && !parse_info(xml) && !parse_redirect(xml);
  };
  SUBCASE("billion laughs") {
    std::string bomb = "<?xml version=\"1.0\"?><!DOCTYPE tunnel [<!ENTITY a0 \"ha\">";
    for (int i = 1; i < 30; ++i) {
      const auto inner = "&a" + std::to_string(i - 1) + ";";
      bomb += "<!ENTITY a" + std::to_string(i) + " \"";
      for (int j = 0; j < 10; ++j) bomb += inner;
      bomb += "\">";
    }
    bomb += "]><tunnel action=\"&a29;\"><client><address type=\"ipv4\">&a29;</address></client></tunnel>";
    REQUIRE(bomb.size() < kLongestContent);
    CHECK(refused(bomb));
  }
  SUBCASE("100,000 nested elements") {
    std::string bomb = "<tunnel action=\"info\">";
    for (int i = 0; i < 100000; ++i) bomb += "<a>";
    CHECK(refused(bomb));
    for (int i = 0; i < 100000; ++i) bomb += "</a>";
    CHECK(refused(bomb + "</tunnel>"));
  }
  SUBCASE("as many nested elements as fit") {
    std::string bomb = "<tunnel action=\"info\">";
    while (bomb.size() < kLongestContent - 3) bomb += "<a>";
    CHECK(refused(bomb));
  }
  SUBCASE("a huge attribute") {
    CHECK(refused("<tunnel action=\"info" + std::string(1 << 20, ' ') + "\"/>"));
  }
  SUBCASE("many attributes") {
    std::string bomb = "<tunnel";
    while (bomb.size() < kLongestContent - 10) bomb += " a=''";
    CHECK(refused(bomb + "/>"));
  }
  SUBCASE("many addresses") {
    std::string many = "<tunnel action=\"info\" type=\"v6v4\"><client><dns_server>";
    while (many.size() < kLongestContent - 100) many += "<address type=\"ipv6\">2001:db8::1</address>";
    CHECK_FALSE(parse_info(many + "</dns_server></client></tunnel>").has_value());
  }
}

TEST_CASE("xml: NUL bytes, other encodings and bytes that are no UTF-8 are survived and never shown raw") {
  CHECK_FALSE(parse_info(replaced(kInfo, ">10.99.0.1<", ">10.99.0.1\0<"s)).has_value());
  CHECK_FALSE(parse_info("\xff\xfe<\0t\0"s).has_value());
  for (const auto& bytes : {"\xff\xfe\x80"s, "\xc3("s, "\x1b[2J"s, "\r\n\x07"s, "&#27;[2J"s, "&#x9b;2J"s,
                            "&#0;"s, "&#xD800;"s, "&#x110000;"s}) {
    for (const auto* where :
         {">10.99.0.1<", ">2001:db8:f:f::2<", ">2001:0db8:00aa:bb00:0000:0000:0000:0000<"}) {
      const auto info = parse_info(replaced(kInfo, where, ">" + bytes + "x<"));
      REQUIRE(info.has_error());
      CHECK(info.error().message == printable(info.error().message, 10000));
    }
    const auto type = parse_info(replaced(kInfo, "type=\"v6udpv4\"", "type=\"" + bytes + "\""));
    REQUIRE(type.has_error());
    CHECK(type.error().message == printable(type.error().message, 10000));
  }
  const auto named = parse_info(replaced(kInfo, ">alice.users.example.net<", ">alice;\x1b$(reboot)<"));
  REQUIRE(named.has_value());
  CHECK(named->client_name.empty());
}

TEST_CASE("xml: the recorded redirection is read, and ours is written like it") {
  const auto recorded = load_recording("redirect-rudp").at(0).at(1).bytes.substr(RudpHeader::kSize);
  const auto status = StatusLine::parse(recorded);
  REQUIRE(status);
  const auto brokers = parse_redirect(status->rest);
  REQUIRE(brokers.has_value());
  REQUIRE(brokers->size() == 2);
  CHECK((*brokers)[0].host == "10.99.0.11");
  CHECK((*brokers)[1].host == "10.99.0.12");
  CHECK(status_line(1200) + redirect_xml(*brokers) == recorded);
}

TEST_CASE("xml: a redirection has 1 to 50 brokers of any kind, perhaps followed by a NUL") {
  const auto list = [](std::size_t count) {
    BrokerList brokers;
    for (std::size_t i = 0; i < count; ++i)
      brokers.push_back(*sixlink::net::ServerAddress::parse("broker" + std::to_string(i) + ".example.net"));
    return redirect_xml(brokers);
  };
  CHECK_FALSE(parse_redirect(list(0)).has_value());
  CHECK(parse_redirect(list(50))->size() == 50);
  CHECK_FALSE(parse_redirect(list(51)).has_value());
  const auto mixed = parse_redirect(
      "<tunnel action=\"info\"><broker><address type=\"ipv4\">192.0.2.1:4000</address><address "
      "type=\"ipv6\">2001:db8::1</address>"
      "<address type=\"ipv6\">[2001:db8::2]:4000</address><address type=\"dn\">b.example.net</address></broker></tunnel>\r\n\0"s);
  REQUIRE(mixed.has_value());
  CHECK((*mixed)[0].port == 4000);
  CHECK((*mixed)[1].host == "2001:db8::1");
  CHECK((*mixed)[2].port == 4000);
  CHECK((*mixed)[3].host == "b.example.net");
}

TEST_CASE("xml: a redirection to what is no broker's address is refused") {
  for (const char* text : {"", "$(reboot)", "a b", "-x", "host:0", "host:65536", "192.0.2.1.1",
                           "[2001:db8::1", "fe80::1%eth0", "fe80::1%\x1b[2J", "[fe80::1%;reboot]:3653"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_redirect("<tunnel action=\"info\"><broker><address type=\"ipv4\">" + std::string(text) +
                               "</address></broker></tunnel>")
                    .has_value());
  }
}

TEST_CASE("xml: modes have a name, and one that a capability line has") {
  for (const auto mode : {Mode::kV6V4, Mode::kV6UdpV4, Mode::kV6AnyV4, Mode::kV4V6}) {
    CHECK(parse_mode(to_string(mode)) == mode);
    CHECK(parse_mode(capability_name(mode)) == mode);
  }
  CHECK_FALSE(parse_mode(""));
}

TEST_CASE("xml: a delete survives a round trip, with and without an address") {
  const auto bare = parse_delete(DeleteRequest{}.to_xml());
  REQUIRE(bare.has_value());
  CHECK(bare->client_inner.is_unspecified());
  for (const auto& [mode, inner] : {std::pair{Mode::kV6UdpV4, "2001:db8::2"}, {Mode::kV4V6, "203.0.113.2"}}) {
    const DeleteRequest request{mode, boost::asio::ip::make_address(inner)};
    const auto again = parse_delete(request.to_xml());
    REQUIRE(again.has_value());
    CHECK(again->mode == mode);
    CHECK(again->client_inner == request.client_inner);
    CHECK(*parse_action(request.to_xml()) == Action::kDelete);
  }
  CHECK(parse_delete("<tunnel action=\"delete\" type=\"v9\"><client/></tunnel>").has_value());
  for (const auto* bad :
       {"", "<tunnel action=\"create\"/>", "<tunnel action=\"delete\">",
        "<tunnel action=\"delete\"><client><address type=\"ipv6\">::g</address></client></tunnel>",
        "<tunnel action=\"delete\" type=\"v4v6\"><client><address "
        "type=\"ipv4\">1.2.3</address></client></tunnel>"})
    CHECK_FALSE(parse_delete(bad).has_value());
}
