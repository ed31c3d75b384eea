// SPDX-License-Identifier: BSD-3-Clause
// Routes of the kernel's, in a network of the test's own.
#include "platform/route_table.h"

#include <doctest/doctest.h>

#include "tests/unit/platform/in_own_network.h"

using namespace sixlink;

TEST_CASE("route table: routes that are kept are taken when their program has removed its own") {
  const int result = test::in_own_network([] {
    using test::ip;
    if (!ip("link add one type veth peer name two")) return 255;
    if (!ip("link set one up") || !ip("link set two up")) return 255;
    if (!ip("-6 route add 2001:db8:42:7::/64 via fe80::a dev one proto 42 metric 100") ||
        !ip("-6 route add 2001:db8:42:8::/64 via fe80::a dev two proto 42 metric 100") ||
        !ip("-6 route add 2001:db8:42:9::/64 via fe80::b dev one proto static metric 100") ||
        !ip("-6 route add default via fe80::c dev one proto 42 table 136 metric 100"))
      return 1;
    const auto gateways = platform::keep_routes("one", platform::kRouteProtocolBabel);
    if (!gateways || gateways->size() != 2) return 2;
    // Once more does nothing more.
    if (!platform::keep_routes("one", platform::kRouteProtocolBabel)) return 3;
    if (platform::keep_routes("three", platform::kRouteProtocolBabel)) return 4;
    const auto removed = platform::remove_routes({254, platform::kRouteProtocolBabel, 0, UINT32_MAX});
    if (!removed || *removed != 2) return 5;
    if (!ip("-6 route get 2001:db8:42:7::1 | grep 'via fe80::a dev one'")) return 6;
    if (ip("-6 route get 2001:db8:42:8::1 | grep 'dev two'")) return 7;
    // A route of the program's goes before it.
    if (!ip("-6 route add 2001:db8:42:7::/64 via fe80::a dev two proto 42 metric 100")) return 8;
    if (!ip("-6 route get 2001:db8:42:7::1 | grep 'dev two'")) return 9;
    if (!ip("-6 route show table 136 proto 73 | grep 'default via fe80::c dev one'")) return 10;
    // It goes with the interface.
    if (!ip("link del one") || ip("-6 route show table all proto 73 | grep .")) return 11;
    return 0;
  });
  if (result == -1) {
    MESSAGE("skipped: no network of its own here");
    return;
  }
  CHECK(result == 0);
}

TEST_CASE("route table: the router that IPv6 goes to, with its scope, while there is one") {
  const int result = test::in_own_network([] {
    using test::ip;
    const auto internet = boost::asio::ip::make_address_v6("2000::");
    if (!ip("link add one type veth peer name two")) return 255;
    if (!ip("link set one up") || !ip("link set two up")) return 255;
    if (platform::gateway_towards(internet)) return 1;
    if (!ip("-6 route add default dev two metric 2000") || platform::gateway_towards(internet)) return 2;
    if (!ip("-6 route add default via fe80::a dev one metric 100")) return 3;
    auto gateway = platform::gateway_towards(internet);
    if (!gateway || gateway->interface != "one") return 4;
    auto expected = boost::asio::ip::make_address_v6("fe80::a");
    expected.scope_id(if_nametoindex("one"));
    if (gateway->address != boost::asio::ip::address(expected)) return 5;
    // A better one.
    if (!ip("-6 route add default via fe80::b dev two metric 50")) return 6;
    gateway = platform::gateway_towards(internet);
    if (!gateway || gateway->interface != "two") return 7;
    if (!ip("-6 route add unreachable default metric 10") || platform::gateway_towards(internet)) return 8;
    return 0;
  });
  if (result == -1) {
    MESSAGE("skipped: no network of its own here");
    return;
  }
  CHECK(result == 0);
}
