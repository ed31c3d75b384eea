// SPDX-License-Identifier: BSD-3-Clause
#include "src/datapath/inner_filter.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "tests/unit/net/ipv4_packet.h"

using namespace sixlink;
using namespace sixlink::datapath;
using sixlink::test::ipv4_packet;
using sixlink::test::ipv6_packet;
using sixlink::test::v4;
using sixlink::test::v6;

namespace {

const InnerFilter kHost(v6("2001:db8:f:f::2"), std::nullopt);
const InnerFilter kRouter(v6("2001:db8:f:f::2"), net::Prefix::parse("2001:db8:aa:bb00::/56"));

std::optional<Drop> out(const InnerFilter& filter, const char* source, const char* destination) {
  return filter.check_outgoing(ipv6_packet(source, destination));
}
std::optional<Drop> in(const InnerFilter& filter, const char* source, const char* destination) {
  std::optional<net::Ipv6Header> header;
  const auto drop = filter.check_incoming(ipv6_packet(source, destination), header);
  CHECK(header.has_value());
  return drop;
}

}  // namespace

TEST_CASE("inner filter: only our own sources leave") {
  CHECK_FALSE(out(kHost, "2001:db8:f:f::2", "2001:db8::9"));
  CHECK(out(kHost, "2001:db8:f:f::3", "2001:db8::9") == Drop::kForeignSource);
  CHECK(out(kHost, "2001:db8:aa:bb01::1", "2001:db8::9") == Drop::kForeignSource);
  CHECK_FALSE(out(kRouter, "2001:db8:aa:bb01::1", "2001:db8::9"));
  CHECK_FALSE(out(kRouter, "2001:db8:aa:bbff:ffff:ffff:ffff:ffff", "2001:db8::9"));
  CHECK(out(kRouter, "2001:db8:aa:bc00::", "2001:db8::9") == Drop::kForeignSource);
  CHECK(out(kRouter, "::ffff:192.0.2.1", "2001:db8::9") == Drop::kForeignSource);
}

TEST_CASE("inner filter: only what is for us comes in, and nothing that claims to be us") {
  CHECK_FALSE(in(kHost, "2001:db8::9", "2001:db8:f:f::2"));
  CHECK(in(kHost, "2001:db8::9", "2001:db8:f:f::3") == Drop::kForeignTarget);
  CHECK(in(kHost, "2001:db8:f:f::2", "2001:db8:f:f::2") == Drop::kForeignSource);
  CHECK_FALSE(in(kRouter, "2001:db8::9", "2001:db8:aa:bb42::7"));
  CHECK(in(kRouter, "2001:db8:aa:bb42::8", "2001:db8:aa:bb42::7") == Drop::kForeignSource);
  CHECK(in(kHost, "2001:db8::9", "2001:db8:aa:bb42::7") == Drop::kForeignTarget);
}

TEST_CASE("inner filter: link-local and multicast packets are of their own kind") {
  CHECK(out(kHost, "fe80::1", "ff02::2") == Drop::kLocalScope);  // router solicitation
  CHECK(out(kHost, "::", "ff02::16") == Drop::kLocalScope);      // MLD report
  CHECK(out(kHost, "2001:db8:f:f::2", "ff0e::1") == Drop::kLocalScope);
  CHECK(out(kHost, "2001:db8:f:f::2", "fe80::1") == Drop::kLocalScope);
  CHECK(in(kHost, "fe80::1", "2001:db8:f:f::2") == Drop::kLocalScope);
  CHECK(in(kHost, "2001:db8::9", "ff02::1") == Drop::kLocalScope);
}

TEST_CASE("inner filter: what is no IPv6 packet is malformed") {
  for (const auto& packet : {test::Packet{}, test::Packet{0x60}, test::Packet(39, 0x60),
                             test::Packet(40, 0x45), test::Packet(2000, 0)}) {
    std::optional<net::Ipv6Header> header = net::Ipv6Header{};
    CHECK(kHost.check_outgoing(packet) == Drop::kMalformed);
    CHECK(kHost.check_incoming(packet, header) == Drop::kMalformed);
    CHECK_FALSE(header);
  }
  auto cut = ipv6_packet("2001:db8:f:f::2", "2001:db8::9", 100);
  cut.pop_back();
  CHECK(kHost.check_outgoing(cut) == Drop::kMalformed);
}

TEST_CASE("inner filter: an end that owns IPv4 addresses") {
  const InnerFilter host(v4("203.0.113.2"), std::nullopt);
  const InnerFilter router(boost::asio::ip::address(v4("203.0.113.2")), std::nullopt,
                           net::PrefixV4::parse("203.0.113.8/29"));
  const auto leaves = [](const InnerFilter& filter, const char* source, const char* destination) {
    return filter.check_outgoing(ipv4_packet(source, destination));
  };
  CHECK_FALSE(leaves(host, "203.0.113.2", "192.0.2.9"));
  CHECK(leaves(host, "203.0.113.3", "192.0.2.9") == Drop::kForeignSource);
  CHECK(leaves(host, "203.0.113.9", "192.0.2.9") == Drop::kForeignSource);
  CHECK_FALSE(leaves(router, "203.0.113.9", "192.0.2.9"));
  CHECK(leaves(router, "203.0.113.16", "192.0.2.9") == Drop::kForeignSource);
  CHECK(leaves(host, "0.0.0.0", "255.255.255.255") == Drop::kLocalScope);
  CHECK(leaves(host, "203.0.113.2", "224.0.0.251") == Drop::kLocalScope);
  auto broken = ipv4_packet("203.0.113.2", "192.0.2.9");
  broken[8] = 63;
  CHECK(host.check_outgoing(broken) == Drop::kMalformed);

  std::optional<net::IpHeader> header;
  CHECK_FALSE(router.check_incoming(ipv4_packet("192.0.2.9", "203.0.113.14"), header));
  REQUIRE(header);
  CHECK(header->source == v4("192.0.2.9"));
  CHECK(header->destination == v4("203.0.113.14"));
  CHECK(header->payload_offset == 20);
  CHECK(host.check_incoming(ipv4_packet("192.0.2.9", "203.0.113.14"), header) == Drop::kForeignTarget);
  CHECK(router.check_incoming(ipv4_packet("203.0.113.9", "203.0.113.14"), header) == Drop::kForeignSource);
  CHECK(host.check_incoming(broken, header) == Drop::kMalformed);
  CHECK_FALSE(header);
}

TEST_CASE("inner filter: packets of the other IP version are foreign") {
  const InnerFilter host(v4("203.0.113.2"), std::nullopt);
  CHECK(host.check_outgoing(ipv6_packet("2001:db8:f:f::2", "2001:db8::9")) == Drop::kForeignSource);
  CHECK(host.check_outgoing(ipv6_packet("::ffff:203.0.113.2", "2001:db8::9")) == Drop::kForeignSource);
  CHECK(host.check_outgoing(ipv6_packet("fe80::1", "ff02::2")) == Drop::kLocalScope);
  CHECK(kRouter.check_outgoing(ipv4_packet("203.0.113.2", "192.0.2.9")) == Drop::kForeignSource);
  std::optional<net::IpHeader> header;
  CHECK(kRouter.check_incoming(ipv4_packet("192.0.2.9", "203.0.113.2"), header) == Drop::kForeignTarget);
  CHECK(host.check_incoming(ipv6_packet("2001:db8::9", "2001:db8:f:f::2"), header) == Drop::kForeignTarget);
  std::optional<net::Ipv6Header> six;
  CHECK(kRouter.check_incoming(ipv4_packet("192.0.2.9", "203.0.113.2"), six) == Drop::kForeignTarget);
  CHECK_FALSE(six);
}

TEST_CASE("inner filter: each reason has its own name and counter") {
  std::set<std::string> names;
  Counters counters;
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    names.insert(std::string(to_string(static_cast<Drop>(i))));
    for (std::size_t n = 0; n <= i; ++n) counters.drop(static_cast<Drop>(i));
  }
  CHECK(names.size() == kDropReasons);
  CHECK(to_string(Drop::kMalformed) == "malformed");
  CHECK(to_string(Drop::kControl) == "control");
  for (std::size_t i = 0; i < kDropReasons; ++i) CHECK(counters.drops[i] == i + 1);
}
