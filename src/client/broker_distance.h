// SPDX-License-Identifier: BSD-3-Clause
// Puts brokers in the order of their distance: names are resolved and echoes measured, all at the same time.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "src/client/config.h"
#include "src/tunnel/echo.h"

namespace sixlink::client {

struct MeasuredBroker {
  net::ServerAddress server;
  std::vector<boost::asio::ip::address> addresses;    // empty: the name is not resolved
  std::optional<std::chrono::microseconds> distance;  // of the nearest address; nullopt: no answer
};

struct MeasureLimits {
  std::chrono::seconds resolve;
  tunnel::EchoLimits echo;
};
// A redirection costs at most what it costs deployed clients.
inline constexpr MeasureLimits kRedirectionLimits{std::chrono::seconds(8), {}};
// The configured brokers are in an order already: what is slower to tell than this is not waited for.
inline constexpr MeasureLimits kConfiguredLimits{
    std::chrono::seconds(2), {std::chrono::milliseconds(2000), std::chrono::milliseconds(500)}};

// The closest first, those that do not answer last; among those that are equally far the given order. Names
// that need longer than the limit count as not answering. Cancellable.
boost::asio::awaitable<std::vector<MeasuredBroker>> measure_brokers(const Config& config,
                                                                    std::vector<net::ServerAddress> servers,
                                                                    MeasureLimits limits);

// Positions, the closest first. Distances that differ by less than what the network's and our own jitter
// makes are equal. Pure.
std::vector<std::size_t> order_by_distance(
    const std::vector<std::optional<std::chrono::microseconds>>& distances);

// "a 1.2 ms, b 20.0 ms, c no answer", for the log.
std::string describe(const std::vector<MeasuredBroker>& brokers);

}  // namespace sixlink::client
