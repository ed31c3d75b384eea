// SPDX-License-Identifier: BSD-3-Clause
#include "src/net/outer_address.h"

#include <doctest/doctest.h>

using namespace sixlink::net;
using boost::asio::ip::make_address;

TEST_CASE("outer address: a mapped IPv4 address is an IPv4 address") {
  CHECK(unmapped(make_address("::ffff:192.0.2.1")) == make_address("192.0.2.1"));
  for (const char* text : {"192.0.2.1", "2001:db8::1", "::192.0.2.1", "64:ff9b::192.0.2.1", "::"})
    CHECK(unmapped(make_address(text)) == make_address(text));
}

TEST_CASE("outer address: endpoints as people write them") {
  CHECK(endpoint_text(make_address("192.0.2.1"), 3653) == "192.0.2.1:3653");
  CHECK(endpoint_text(make_address("2001:db8::1"), 65535) == "[2001:db8::1]:65535");
}

TEST_CASE("outer address: a quota is for an IPv4 address or a /64") {
  CHECK(quota_address(make_address("192.0.2.1")) == make_address("192.0.2.1"));
  CHECK(quota_address(make_address("2001:db8:1:2:3:4:5:6")) == make_address("2001:db8:1:2::"));
  CHECK(quota_address(make_address("2001:db8:1:2::")) == quota_address(make_address("2001:db8:1:2:ffff::")));
  CHECK(quota_address(make_address("2001:db8:1:3::")) != quota_address(make_address("2001:db8:1:2::")));
}
