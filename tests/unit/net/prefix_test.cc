// SPDX-License-Identifier: BSD-3-Clause
#include "src/net/prefix.h"

#include <doctest/doctest.h>

using namespace sixlink::net;

TEST_CASE("prefix: parses what RFC 4291 2.3 allows and nothing else") {
  CHECK(Prefix::parse("2001:db8::/32")->to_string() == "2001:db8::/32");
  CHECK(Prefix::parse("::/0")->length == 0);
  CHECK(Prefix::parse("2001:db8::1/128")->contains(*parse_v6("2001:db8::1")));
  for (const char* text :
       {"", "/", "2001:db8::", "2001:db8::/", "2001:db8::/129", "2001:db8::/-1", "2001:db8::/32x",
        "2001:db8::1/64", "192.0.2.0/24", "2001:db8::%eth0/64", "fe80::%1/64", "2001:db8::/ 32"}) {
    CAPTURE(text);
    CHECK_FALSE(Prefix::parse(text).has_value());
  }
}

TEST_CASE("prefix: rejects an address with a NUL in it") {
  CHECK_FALSE(parse_v6(std::string_view("2001:db8::1\0x", 13)).has_value());
}

TEST_CASE("prefix: mask keeps exactly the first bits") {
  const auto all = *parse_v6("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  for (int length = 0; length <= 128; ++length) {
    const auto masked = mask(all, length).to_bytes();
    int ones = 0;
    bool ended = false;
    for (const auto byte : masked) {
      for (int bit = 7; bit >= 0; --bit) {
        const bool is_set = ((byte >> bit) & 1) != 0;
        CHECK_FALSE((ended && is_set));
        ended = !is_set;
        ones += is_set ? 1 : 0;
      }
    }
    CHECK(ones == length);
  }
}

TEST_CASE("prefix: contains addresses and longer prefixes") {
  const auto prefix = *Prefix::parse("2001:db8:aa:bb00::/56");
  CHECK(prefix.contains(*parse_v6("2001:db8:aa:bbff::1")));
  CHECK_FALSE(prefix.contains(*parse_v6("2001:db8:aa:bc00::")));
  CHECK(prefix.contains(*Prefix::parse("2001:db8:aa:bb10::/60")));
  CHECK_FALSE(prefix.contains(*Prefix::parse("2001:db8:aa::/48")));
}

TEST_CASE("prefix: texts for templates and deployed clients") {
  const auto prefix = *Prefix::parse("2001:db8:aa:bb00::/56");
  CHECK(expanded_text(prefix.address) == "2001:0db8:00aa:bb00:0000:0000:0000:0000");
  CHECK(covered_groups(prefix) == "2001:0db8:00aa:bb00");
  CHECK(covered_groups(*Prefix::parse("2001:db8::/32")) == "2001:0db8");
  CHECK(covered_groups(*Prefix::parse("2001:db8:8000::/33")) == "2001:0db8:8000");
  CHECK(parse_v6(covered_groups(prefix) + "::1").has_value());
}

TEST_CASE("prefix: inner addresses are unicast and routable") {
  CHECK(is_inner_unicast(*parse_v6("2001:db8::1")));
  CHECK(is_inner_unicast(*parse_v6("fd00::1")));
  for (const char* text : {"::", "::1", "fe80::1", "ff02::1", "::ffff:192.0.2.1"})
    CHECK_FALSE(is_inner_unicast(*parse_v6(text)));
}

TEST_CASE("prefix: IPv4 prefixes and their v4-mapped form") {
  const auto prefix = PrefixV4::parse("203.0.113.8/29");
  REQUIRE(prefix);
  CHECK(prefix->to_string() == "203.0.113.8/29");
  CHECK(prefix->contains(*parse_v4("203.0.113.15")));
  CHECK_FALSE(prefix->contains(*parse_v4("203.0.113.16")));
  CHECK(v4_mapped(*prefix).to_string() == "::ffff:203.0.113.8/125");
  CHECK(unmapped(v4_mapped(*prefix)) == prefix);
  CHECK_FALSE(unmapped(*Prefix::parse("::fffe:0:0/95")));
  CHECK_FALSE(unmapped(*Prefix::parse("2001:db8::/125")));
  for (const char* wrong : {"203.0.113.9/29", "203.0.113.0/33", "203.0.113.0/-1", "203.0.113.0",
                            "203.0.113/24", "203.0.113.0/24 ", "0.0.0.0/", "::/0", "0203.0.113.0/24"}) {
    INFO(wrong);
    CHECK_FALSE(PrefixV4::parse(wrong));
  }
  CHECK(PrefixV4::parse("0.0.0.0/0"));
  CHECK(PrefixV4::parse("255.255.255.255/32"));
}
