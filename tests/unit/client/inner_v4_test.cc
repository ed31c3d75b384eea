// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/inner_v4.h"

#include <doctest/doctest.h>

using namespace sixlink;
using namespace sixlink::client;

namespace {

std::optional<net::PrefixV4> prefix(const char* text) {
  return net::PrefixV4::parse(text);
}

}  // namespace

TEST_CASE("inner v4: the registry is asked where the network has IPv4 and the node none of it") {
  CHECK_FALSE(lacks_inner_v4(std::nullopt, std::nullopt));
  CHECK_FALSE(lacks_inner_v4(std::nullopt, prefix("203.0.113.16/28")));
  CHECK(lacks_inner_v4(prefix("203.0.113.0/24"), std::nullopt));
  CHECK_FALSE(lacks_inner_v4(prefix("203.0.113.0/24"), prefix("203.0.113.16/28")));
  CHECK(lacks_inner_v4(prefix("198.51.100.0/24"), prefix("203.0.113.16/28")));
  // All of it, and more than that, is no node's.
  CHECK(lacks_inner_v4(prefix("203.0.113.0/24"), prefix("203.0.113.0/24")));
  CHECK(lacks_inner_v4(prefix("203.0.113.0/28"), prefix("203.0.113.0/24")));
}

TEST_CASE("inner v4: network and prefix are used once they belong together") {
  const auto network = prefix("203.0.113.0/24");
  const auto own = prefix("203.0.113.16/28");
  CHECK_FALSE(next_inner_v4(std::nullopt, network, std::nullopt));
  CHECK_FALSE(next_inner_v4(std::nullopt, std::nullopt, own));
  const auto first = next_inner_v4(std::nullopt, network, own);
  REQUIRE(first);
  CHECK(*first == InnerV4{*network, *own});
  CHECK(first->address().to_string() == "203.0.113.17");
  // Another range: until there is a prefix of it the old ones stay.
  const auto other = prefix("198.51.100.0/24");
  CHECK(next_inner_v4(first, other, own) == first);
  CHECK(next_inner_v4(first, other, prefix("198.51.100.8/31"))->address().to_string() == "198.51.100.8");
  // A larger one, in which the prefix is, at once; none: no IPv4.
  CHECK(next_inner_v4(first, prefix("203.0.112.0/20"), own)->network == *prefix("203.0.112.0/20"));
  CHECK_FALSE(next_inner_v4(first, std::nullopt, own));
}
