// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/broker_distance.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include "tests/unit/net/run_coroutine.h"

using namespace sixlink;
using namespace std::chrono_literals;
using client::order_by_distance;
using Distances = std::vector<std::optional<std::chrono::microseconds>>;
using Order = std::vector<std::size_t>;

TEST_CASE("distance: the closest first, the unreachable last, in their order") {
  CHECK(order_by_distance({}) == Order{});
  CHECK(order_by_distance(Distances{90ms, 10ms, 40ms}) == Order{1, 2, 0});
  CHECK(order_by_distance(Distances{{}, 90ms, {}, 10ms}) == Order{3, 1, 0, 2});
  CHECK(order_by_distance(Distances{{}, {}, {}}) == Order{0, 1, 2});
}

TEST_CASE("distance: what differs by jitter alone is equally far") {
  CHECK(order_by_distance(Distances{1100us, 400us, 900us}) == Order{0, 1, 2});
  CHECK(order_by_distance(Distances{105ms, 100ms}) == Order{0, 1});
  CHECK(order_by_distance(Distances{120ms, 100ms}) == Order{1, 0});
  // Each against the nearest of the rest, so that many small steps do not make the far near.
  CHECK(order_by_distance(Distances{109ms, 118ms, 100ms, 127ms}) == Order{0, 2, 1, 3});
}

TEST_CASE("distance: more names than can be looked up at once, none of which exists") {
  client::Config config;
  std::vector<net::ServerAddress> servers;
  for (int i = 0; i < 20; ++i)
    servers.push_back(*net::ServerAddress::parse("b" + std::to_string(i) + ".invalid"));
  boost::asio::io_context io;
  const auto brokers = test::run(io, client::measure_brokers(config, servers, {2s, {500ms, 100ms}}));
  REQUIRE(brokers.size() == 20);
  CHECK(brokers[0].server.text == "b0.invalid");
  CHECK(brokers[19].server.text == "b19.invalid");
  for (const auto& broker : brokers) CHECK_FALSE(broker.distance);
  CHECK(client::describe({brokers.front()}) == "b0.invalid not resolved");
}
