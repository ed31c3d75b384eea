// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/control_message.h"

#include <doctest/doctest.h>

using namespace sixlink;
using namespace std::chrono_literals;
using mesh::ControlKind;
using mesh::ControlMessage;
using mesh::parse_control;

namespace {

ControlMessage create() {
  ControlMessage message;
  message.kind = ControlKind::kCreate;
  message.nonce = 0x0123456789abcdef;
  message.to = *net::Prefix::parse("2001:db8:42:7::/64");
  message.mtu = 1420;
  message.contacts = {{1, 2, 3}};
  return message;
}

bool is_refused(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  REQUIRE_MESSAGE(at != std::string::npos, std::string(from));
  return !parse_control(text.replace(at, from.size(), to));
}

}  // namespace

TEST_CASE("control message: a request has this text, and comes back as it was") {
  CHECK(to_text(create()) ==
        "<tunnel action=\"create\" type=\"wireguard\"><nonce>0123456789abcdef</nonce>"
        "<to>2001:db8:42:7::/64</to><mtu>1420</mtu><contact>AQID</contact></tunnel>");
  CHECK(parse_control(to_text(create())) == create());
}

TEST_CASE("control message: every kind comes back as it was") {
  std::vector<ControlMessage> all{create(), create()};
  all.back().is_alone = true;
  all.push_back(create());
  all.back().takes_any_port = true;
  all.back().own_port = 61000;
  ControlMessage message;
  message.kind = ControlKind::kAnswer;
  message.status = 200;
  message.nonce = 1;
  message.mtu = 1280;
  message.observed = {boost::asio::ip::make_address("198.51.100.7"), 40000};
  message.contacts = {{4, 5}};
  all.push_back(message);
  message.observed = {boost::asio::ip::make_address("2001:db8:1::7"), 1};
  message.own_port = 65535;
  all.push_back(message);
  message.status = 301;
  message.mtu = 0;
  message.own_port = 0;
  message.contacts = {{4, 5}, {6}};
  all.push_back(message);
  message = {};
  message.kind = ControlKind::kDelete;
  message.delay = 10s;
  all.push_back(message);
  message = {};
  message.kind = ControlKind::kAskLink;
  message.to = *net::Prefix::parse("2001:db8:42:7::/64");
  all.push_back(message);
  CHECK(to_text(message) ==
        "<tunnel action=\"list\" type=\"wireguard\"><to>2001:db8:42:7::/64</to></tunnel>");
  CHECK(is_refused(to_text(message), "<to>2001:db8:42:7::/64</to>", ""));
  CHECK(is_refused(to_text(message), "2001:db8:42:7::/64", "somebody"));
  message = {};
  message.kind = ControlKind::kAskContacts;
  message.count = 4;
  all.push_back(message);
  message = {};
  message.kind = ControlKind::kContacts;
  message.contacts = {{1}, {2}, {3}};
  all.push_back(message);
  message.contacts = {};
  message.observed = {boost::asio::ip::make_address("198.51.100.7"), 40001};
  all.push_back(message);
  message = {};
  message.kind = ControlKind::kAskParameters;
  message.version = ~0ULL;
  message.offset = 700;
  all.push_back(message);
  message = {};
  message.kind = ControlKind::kParameters;
  message.version = 12;
  message.size = 702;
  message.offset = 700;
  message.bytes = {1, 2};
  all.push_back(message);
  for (const auto& one : all) CHECK_MESSAGE(parse_control(to_text(one)) == one, to_text(one));
}

TEST_CASE("control message: a value that is not usable makes the whole not usable") {
  const auto text = to_text(create());
  CHECK(is_refused(text, "0123456789abcdef", "0123456789abcde"));
  CHECK(is_refused(text, "0123456789abcdef", "0123456789ABCDEF"));
  CHECK(is_refused(text, "<nonce>0123456789abcdef</nonce>", ""));
  CHECK(is_refused(text, "2001:db8:42:7::/64", "2001:db8:42:7::1/64"));
  CHECK(is_refused(text, "1420", "1279"));
  CHECK(is_refused(text, "1420", "65536"));
  CHECK(is_refused(text, "AQID", ""));
  CHECK(is_refused(text, "AQID", "AQI"));
  CHECK(is_refused(text, "AQID", "AQ*D"));
  CHECK(is_refused(text, "</contact>", "</contact><contact>AQID</contact>"));
  CHECK(is_refused(text, "create", "make"));
  CHECK(is_refused(text, "wireguard", "sit"));
  CHECK(is_refused(text, "</tunnel>", ""));
  CHECK(is_refused(text, "</tunnel>", "</tunnel><tunnel/>"));
  CHECK(is_refused(text, "<tunnel", "200 Success\r\n<tunnel"));
  CHECK_FALSE(parse_control(""));
  CHECK_FALSE(parse_control("200 Success\r\n"));
  CHECK_FALSE(parse_control(text + std::string(1, '\0')));
  CHECK_FALSE(parse_control(text + std::string(ControlMessage::kLargest, ' ')));
}

TEST_CASE("control message: answers need a status, good ones a contact") {
  const std::string answer =
      "200 Success\r\n<tunnel action=\"info\" type=\"wireguard\"><nonce>0000000000000001</nonce>"
      "<mtu>1420</mtu><observed port=\"1\">198.51.100.7</observed><contact>AQID</contact></tunnel>";
  REQUIRE(parse_control(answer));
  CHECK(is_refused(answer, "200 Success\r\n", ""));
  CHECK(is_refused(answer, "200", "2000000"));
  CHECK(is_refused(answer, "200", "x"));
  CHECK(is_refused(answer, "<contact>AQID</contact>", ""));
  CHECK(is_refused(answer, "<mtu>1420</mtu>", ""));
  CHECK(is_refused(answer, "198.51.100.7", "198.51.100"));
  CHECK(is_refused(answer, "port=\"1\"", "port=\"0\""));
  CHECK(is_refused(answer, "port=\"1\"", ""));
}

TEST_CASE("control message: pieces stay within what they say, and lists are bounded") {
  const std::string piece =
      "<tunnel action=\"info\" type=\"parameters\"><version>1</version><size>703</size><offset>700</offset>"
      "<bytes>AQID</bytes></tunnel>";
  REQUIRE(parse_control(piece));
  CHECK(is_refused(piece, "703", "702"));
  CHECK(is_refused(piece, "703", "65537"));
  CHECK(is_refused(piece, "703", "-1"));
  CHECK(is_refused(piece, "<offset>700", "<offset>18446744073709551615"));
  CHECK(is_refused(piece, "AQID", ""));
  std::string contacts = "<tunnel action=\"info\" type=\"contact\">";
  for (int i = 0; i < 9; ++i) contacts += "<contact>AQID</contact>";
  CHECK_FALSE(parse_control(contacts + "</tunnel>"));
  CHECK_FALSE(parse_control("<tunnel action=\"info\" type=\"contact\"></tunnel>"));
  CHECK_FALSE(parse_control("<tunnel action=\"list\" type=\"contact\"><count>9</count></tunnel>"));
  CHECK_FALSE(parse_control("<tunnel action=\"delete\" type=\"wireguard\"><delay>61</delay></tunnel>"));
}

TEST_CASE("control message: what a later version adds is passed over") {
  const auto more = parse_control(to_text(create()).replace(8, 0, "colour=\"red\" "));
  CHECK(more == create());
  const auto text = to_text(create());
  CHECK(parse_control(text.substr(0, text.size() - 9) + "<colour>red</colour></tunnel>") == create());
}

TEST_CASE("control message: echoes outside are all of one size") {
  const mesh::Echo request{false, 0x0123456789abcdef, 0, 0};
  const mesh::Echo response{true, 0x0123456789abcdef, 0xfedcba9876543210, 0};
  CHECK(outer_echo(request).size() == mesh::kEchoTextSize);
  CHECK(outer_echo(response).size() == mesh::kEchoTextSize);
  CHECK(outer_echo(request).starts_with("ECHO REQUEST 0123456789abcdef "));
  CHECK(outer_echo(response).starts_with("ECHO RESPONSE 0123456789abcdef fedcba9876543210 "));
  CHECK(mesh::parse_outer_echo(outer_echo(request)) == request);
  CHECK(mesh::parse_outer_echo(outer_echo(response)) == response);
  // Shorter than its answer would be.
  CHECK_FALSE(mesh::parse_outer_echo("ECHO REQUEST 0123456789abcdef\r\n"));
  auto text = outer_echo(request);
  text[20] = 'x';
  CHECK_FALSE(mesh::parse_outer_echo(text));
  text = outer_echo(request);
  text[35] = 'x';
  CHECK_FALSE(mesh::parse_outer_echo(text));
  CHECK_FALSE(mesh::parse_outer_echo(std::string(mesh::kEchoTextSize, ' ')));
  CHECK_FALSE(mesh::parse_outer_echo("ECHO RESPONSE" + std::string(mesh::kEchoTextSize - 13, ' ')));
}

TEST_CASE("control message: echoes inside of links have the parameters' version") {
  CHECK(mesh::link_echo({false, 0, 0, 12}) == "ECHO REQUEST 12\r\n");
  CHECK(mesh::parse_link_echo("ECHO RESPONSE 18446744073709551615\r\n") == mesh::Echo{true, 0, 0, ~0ULL});
  for (const char* text : {"", "ECHO", "ECHO REQUEST ", "ECHO REQUEST -1\r\n", "ECHO REQUEST 1 2\r\n",
                           "ECHO REQUEST 18446744073709551616\r\n"})
    CHECK_FALSE(mesh::parse_link_echo(text));
}
