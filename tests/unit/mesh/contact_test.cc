// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/contact.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace sixlink;
using mesh::Contact;
using mesh::parse_contact;

namespace {

constexpr std::string_view kText =
    "<contact><prefix>2001:db8:42:7::/64</prefix>"
    "<key type=\"wireguard\">AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=</key>"
    "<endpoint kind=\"public\" transport=\"udp\" port=\"3653\">198.51.100.7</endpoint>"
    "<endpoint kind=\"mapped\" transport=\"tcp\" port=\"443\">2001:db8:1::7</endpoint>"
    "<nat>independent</nat><sequence>1772366400000</sequence><expires>1772452800</expires>"
    "<parameters>12</parameters><software>sixlink 0.1.0</software></contact>";

std::string with(std::string_view from, std::string_view to) {
  std::string text(kText);
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string problem_with(std::string_view from, std::string_view to) {
  const auto parsed = parse_contact(with(from, to));
  CHECK_FALSE(parsed.contact);
  return parsed.problem;
}

}  // namespace

TEST_CASE("contact: the text has what it says, and comes back as it was") {
  const auto parsed = parse_contact(kText);
  REQUIRE_MESSAGE(parsed.contact, parsed.problem);
  const auto& contact = *parsed.contact;
  CHECK(contact.prefix.to_string() == "2001:db8:42:7::/64");
  CHECK(contact.key.bytes[31] == 32);
  REQUIRE(contact.endpoints.size() == 2);
  CHECK(contact.endpoints[0].address.to_string() == "198.51.100.7");
  CHECK(contact.endpoints[0].transport == mesh::Transport::kUdp);
  CHECK(contact.endpoints[1].kind == mesh::EndpointKind::kMapped);
  CHECK(contact.endpoints[1].port == 443);
  CHECK(contact.nat == mesh::NatKind::kIndependent);
  CHECK(contact.sequence == 1772366400000);
  CHECK(contact.expires == mesh::WallTime(std::chrono::seconds(1772452800)));
  CHECK(contact.parameters == 12);
  CHECK(contact.software == "sixlink 0.1.0");
  CHECK(to_xml(contact) == kText);
}

TEST_CASE("contact: a name of software is quoted") {
  auto contact = *parse_contact(kText).contact;
  contact.software = "a<b>&c";
  const auto again = parse_contact(to_xml(contact));
  REQUIRE(again.contact);
  CHECK(again.contact->software == "a<b>&c");
}

TEST_CASE("contact: what a later version adds is passed over") {
  const auto more = parse_contact(with("<nat>", "<colour>red</colour><nat>"));
  REQUIRE(more.contact);
  CHECK(*more.contact == *parse_contact(kText).contact);
  const auto other = parse_contact(with("kind=\"public\"", "kind=\"balloon\""));
  REQUIRE(other.contact);
  CHECK(other.contact->endpoints.size() == 1);
  CHECK(parse_contact(with("independent", "odd")).contact->nat == mesh::NatKind::kUnknown);
}

TEST_CASE("contact: endpoints that nobody can use are left out") {
  for (const char* address : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1",
                              "ff02::1", "::ffff:198.51.100.7", "198.51.100.7/32", "example.net", ""}) {
    const auto parsed = parse_contact(with("198.51.100.7", address));
    REQUIRE(parsed.contact);
    CHECK_MESSAGE(parsed.contact->endpoints.size() == 1, address);
  }
  for (const char* port : {"0", "65536", "-1", "x", ""}) {
    const auto parsed = parse_contact(with("port=\"3653\"", "port=\"" + std::string(port) + "\""));
    REQUIRE(parsed.contact);
    CHECK_MESSAGE(parsed.contact->endpoints.size() == 1, port);
  }
}

TEST_CASE("contact: what must be there must be good") {
  CHECK(problem_with("2001:db8:42:7::/64", "2001:db8:42:7::1/64") == "the contact has no usable prefix");
  CHECK(problem_with("2001:db8:42:7::/64", "2001:db8:42:7::/65") == "the contact has no usable prefix");
  CHECK(problem_with("AQID", "AQI") == "the contact has no usable WireGuard key");
  CHECK(problem_with("type=\"wireguard\"", "type=\"other\"") == "the contact has no usable WireGuard key");
  CHECK(problem_with("<sequence>1772366400000</sequence>", "") ==
        "the contact has no usable sequence number");
  CHECK(problem_with("1772366400000", "18446744073709551616") == "the contact has no usable sequence number");
  CHECK(problem_with("1772452800", "-5") == "the contact has no usable time of expiry");
  CHECK(problem_with("1772452800", "9999999999999") == "the contact has no usable time of expiry");
  CHECK(problem_with("<parameters>12", "<parameters>twelve") ==
        "the contact has no usable version of the parameters");
  CHECK(problem_with("sixlink 0.1.0", std::string(65, 'x')) ==
        "the contact has no usable name of its software");
  CHECK(problem_with("sixlink 0.1.0", "six\tlink") == "the contact has no usable name of its software");
}

TEST_CASE("contact: bounded") {
  std::string many;
  for (int i = 0; i < 9; ++i)
    many += "<endpoint kind=\"public\" transport=\"udp\" port=\"1\">198.51.100.7</endpoint>";
  CHECK(problem_with("<nat>", many + "<nat>") == "the contact has more than 8 endpoints");
  CHECK(problem_with("<nat>", std::string(Contact::kLargest, ' ') + "<nat>") ==
        "the contact cannot be read: the XML is longer than 2048 bytes");
  std::string deep;
  for (int i = 0; i < 400; ++i) deep += "<a>";
  CHECK_FALSE(parse_contact(deep).contact);
}

TEST_CASE("contact: what is no contact is none") {
  for (const char* text :
       {"", "<", "contact", "<tunnel/>", "<contact/>", "<contact></contact><contact></contact>"})
    CHECK_FALSE(parse_contact(text).contact);
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    std::string noise(kText);
    for (auto n = 1 + random() % 4; n > 0; --n) noise[random() % noise.size()] = static_cast<char>(random());
    const auto parsed = parse_contact(noise);
    // Whatever it has become, it can be written and read again.
    if (!parsed.contact) {
      CHECK_FALSE(parsed.problem.empty());
      continue;
    }
    const auto again = parse_contact(to_xml(*parsed.contact));
    REQUIRE_MESSAGE(again.contact, noise);
    CHECK(*again.contact == *parsed.contact);
  }
}
