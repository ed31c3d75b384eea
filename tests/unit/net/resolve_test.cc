// SPDX-License-Identifier: BSD-3-Clause
#include "src/net/resolve.h"

#include <doctest/doctest.h>

#include <boost/asio/error.hpp>
#include <set>
#include <thread>

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

TEST_CASE("resolve: the loop may end while a look-up is under way") {
  for (int i = 0; i < 100; ++i) {
    boost::asio::io_context io;
    boost::asio::co_spawn(io, resolve("localhost", 10s), [](const std::exception_ptr&, const auto&) {});
    io.poll_one();  // started; the answer may come now, later or never
    std::this_thread::sleep_for(std::chrono::microseconds(i % 10 * 50));
  }
  // They end by themselves, and leave room for others.
  boost::asio::io_context io;
  bool has_answer = false;
  for (int i = 0; i < 100 && !has_answer; ++i) {
    has_answer = run(io, resolve("localhost", 10s)).has_value();
    if (!has_answer) std::this_thread::sleep_for(10ms);
  }
  CHECK(has_answer);
}

TEST_CASE("resolve: a time limit that is over gives timed_out, whatever the thread does later") {
  boost::asio::io_context io;
  const auto result = run(io, resolve("localhost", 0s));
  // The thread may be as fast.
  if (!result) CHECK(result.error() == boost::asio::error::timed_out);
}
