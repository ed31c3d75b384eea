// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/own_endpoints.h"

#include <doctest/doctest.h>

#include "src/net/outer_address.h"

using namespace sixlink;
using boost::asio::ip::make_address;
using mesh::EndpointKind;
using mesh::Transport;

namespace {

client::OwnEndpointSettings settings() {
  client::OwnEndpointSettings value;
  value.ignored = {*net::Prefix::parse("2001:db8:42::/48")};
  return value;
}

platform::InterfaceAddress on(const char* interface, const char* address) {
  return {interface, make_address(address), true, false, false};
}

// "udp public 198.51.100.7:3653", one line each.
std::string text(const client::OwnEndpointSettings& with, const client::OwnAddresses& found) {
  std::string result;
  for (const auto& one : client::own_endpoints(with, found)) {
    result += std::string(to_string(one.transport)) + " " + to_string(one.kind) + " " +
              net::endpoint_text(one.address, one.port) + "\n";
  }
  return result;
}

}  // namespace

TEST_CASE("own endpoints: public before mapped before private ones, and no others") {
  client::OwnAddresses found;
  found.interfaces = {{"lo", make_address("127.0.0.1"), true, true, false},
                      on("eth0", "10.0.0.2"),
                      on("eth0", "fe80::1%2"),
                      on("eth0", "2001:db8:1::7"),
                      on("eth1", "198.51.100.7"),
                      on("eth1", "169.254.3.4"),
                      {"eth2", make_address("198.51.100.9"), false, false, false},
                      on("sixm3", "2001:db8:2::3"),
                      on("lo", "2001:db8:42:7::1")};
  found.mapped = {{Transport::kUdp, 3653, make_address("203.0.113.9"), 40000}};
  CHECK(text(settings(), found) ==
        "udp public [2001:db8:1::7]:3653\n"
        "udp public 198.51.100.7:3653\n"
        "udp mapped 203.0.113.9:40000\n"
        "udp local 10.0.0.2:3653\n");
}

TEST_CASE("own endpoints: TCP where it is listened on, at the Web's port rather than another") {
  auto with = settings();
  with.tcp_ports = {3653, 443};
  client::OwnAddresses found;
  found.interfaces = {on("eth0", "198.51.100.7"), on("eth1", "10.0.0.2")};
  CHECK(text(with, found) ==
        "udp public 198.51.100.7:3653\n"
        "tcp public 198.51.100.7:443\n"
        "udp local 10.0.0.2:3653\n");
  with.protocols.udp4 = false;
  CHECK(text(with, found) == "tcp public 198.51.100.7:443\n");
}

TEST_CASE("own endpoints: what is configured stands for the rest, but for private ones") {
  auto with = settings();
  with.configured = {{make_address("203.0.113.5"), 3653, Transport::kUdp, EndpointKind::kPublic}};
  client::OwnAddresses found;
  found.interfaces = {on("eth0", "198.51.100.7"), on("eth0", "10.0.0.2")};
  found.mapped = {{Transport::kUdp, 3653, make_address("203.0.113.9"), 40000}};
  CHECK(text(with, found) == "udp public 203.0.113.5:3653\nudp local 10.0.0.2:3653\n");
}

TEST_CASE("own endpoints: a mapping of a router that is behind another one is not told") {
  client::OwnAddresses found;
  found.mapped = {{Transport::kUdp, 3653, make_address("100.64.1.1"), 3653}};
  CHECK(client::own_endpoints(settings(), found).empty());
}

TEST_CASE("own endpoints: an address that the router maps ports to is not public, whatever it looks like") {
  client::OwnAddresses found;
  found.interfaces = {on("eth0", "198.51.100.7"), on("eth1", "198.51.100.8")};
  found.preferred = make_address("198.51.100.7");
  found.mapped = {{Transport::kUdp, 3653, make_address("203.0.113.9"), 3653}};
  CHECK(text(settings(), found) ==
        "udp public 198.51.100.8:3653\nudp mapped 203.0.113.9:3653\nudp local 198.51.100.7:3653\n");
}

TEST_CASE("own endpoints: a firewall that is open adds nothing but ports that were not told, and no NAT") {
  client::OwnAddresses found;
  found.interfaces = {on("eth0", "2001:db8:1::1"), on("eth0", "2001:db8:1::2"), on("eth0", "2001:db8:1::3"),
                      on("eth0", "198.51.100.7")};
  found.preferred = make_address("198.51.100.7");
  const auto own = make_address("2001:db8:1::3");
  found.mapped = {{Transport::kUdp, 3653, own, 3653}, {Transport::kTcp, 3653, own, 3653}};
  auto with = settings();
  with.tcp_ports = {3653};
  with.protocols.tcp4 = false;
  CHECK(text(with, found) ==
        "udp public [2001:db8:1::3]:3653\n"
        "udp public 198.51.100.7:3653\n"
        "udp public [2001:db8:1::1]:3653\n"
        "tcp public [2001:db8:1::3]:3653\n"
        "tcp public [2001:db8:1::1]:3653\n");
  with.tcp_ports = {443, 3653};
  CHECK(text(with, found).ends_with("tcp public [2001:db8:1::1]:443\ntcp public [2001:db8:1::3]:3653\n"));
  // A router that translates prefixes (RFC 6296).
  found.mapped = {{Transport::kUdp, 3653, make_address("2001:db8:2::3"), 3653}};
  CHECK(text(with, found).find("udp mapped [2001:db8:2::3]:3653\n") != std::string::npos);
}

TEST_CASE("own endpoints: two of a kind and family, that of the default route first, never too many") {
  client::OwnAddresses found;
  for (int i = 1; i < 10; ++i) {
    const auto number = std::to_string(i);
    found.interfaces.push_back(on("eth0", ("10.0.0." + number).c_str()));
    found.interfaces.push_back(on("eth0", ("198.51.100." + number).c_str()));
    found.interfaces.push_back(on("eth0", ("2001:db8:1::" + number).c_str()));
  }
  found.preferred = make_address("10.0.0.8");
  auto with = settings();
  CHECK(text(with, found) ==
        "udp public 198.51.100.1:3653\nudp public [2001:db8:1::1]:3653\nudp public 198.51.100.2:3653\n"
        "udp public [2001:db8:1::2]:3653\nudp local 10.0.0.8:3653\nudp local 10.0.0.1:3653\n");
  with.tcp_ports = {443};
  CHECK(client::own_endpoints(with, found).size() == mesh::Contact::kMostEndpoints);
}

TEST_CASE("own endpoints: which addresses are private, and which a router may stand before") {
  for (const char* address :
       {"10.1.2.3", "172.31.0.1", "192.168.1.1", "100.127.0.1", "169.254.0.1", "fd00::1"})
    CHECK_MESSAGE(client::is_private(make_address(address)), address);
  for (const char* address : {"172.32.0.1", "100.128.0.1", "192.0.2.1", "2001:db8::1"})
    CHECK_FALSE_MESSAGE(client::is_private(make_address(address)), address);
  CHECK(client::may_be_translated(boost::asio::ip::make_address_v4("192.0.2.1")));
  CHECK_FALSE(client::may_be_translated(boost::asio::ip::make_address_v4("172.32.0.1")));
}
