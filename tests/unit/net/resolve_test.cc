// SPDX-License-Identifier: BSD-3-Clause
#include "src/net/resolve.h"

#include <doctest/doctest.h>

#include <boost/asio/error.hpp>
#include <set>

#include "tests/unit/net/run_coroutine.h"

using namespace std::chrono_literals;
using sixlink::net::resolve;
using sixlink::test::run;

TEST_CASE("resolve: a literal needs no resolver") {
  boost::asio::io_context io;
  for (const char* text : {"192.0.2.1", "2001:db8::1", "127.0.0.1"}) {
    const auto addresses = run(io, resolve(text, 5s));
    REQUIRE(addresses.has_value());
    REQUIRE(addresses->size() == 1);
    CHECK(addresses->front().to_string() == text);
  }
}

TEST_CASE("resolve: a name gives each address once") {
  boost::asio::io_context io;
  const auto addresses = run(io, resolve("localhost", 10s));
  REQUIRE(addresses.has_value());
  CHECK_FALSE(addresses->empty());
  CHECK(std::set(addresses->begin(), addresses->end()).size() == addresses->size());
  for (const auto& address : *addresses) CHECK(address.is_loopback());
}

TEST_CASE("resolve: names that cannot be are an error at once") {
  boost::asio::io_context io;
  // No resolver is asked for these.
  CHECK_FALSE(run(io, resolve("", 5s)).has_value());
  CHECK_FALSE(run(io, resolve(std::string(300, 'a'), 5s)).has_value());
}

TEST_CASE("resolve: look-ups one after the other do not use up the bound of running ones") {
  boost::asio::io_context io;
  for (int i = 0; i < 50; ++i) CHECK(run(io, resolve("localhost", 10s)).has_value());
}
