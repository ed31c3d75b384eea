// SPDX-License-Identifier: BSD-3-Clause
// Puts brokers in the order of their distance.
#include "src/client/broker_distance.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "src/client/candidates.h"
#include "src/net/resolve.h"
#include "src/tsp/status.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using Addresses = boost::system::result<std::vector<asio::ip::address>>;

// net::resolve() has eight look-ups at once in the whole process; two are left for others.
constexpr std::size_t kLookUpsAtOnce = 6;
// A name with more addresses is measured by its first ones.
constexpr std::size_t kMostAddresses = 4;
// On the same network the order would change with each measurement.
constexpr microseconds kJitter{1000};

asio::awaitable<void> resolve_all(std::vector<MeasuredBroker>& brokers, std::chrono::seconds limit) {
  const auto executor = co_await asio::this_coro::executor;
  const auto end = Clock::now() + limit;
  for (std::size_t first = 0; first < brokers.size(); first += kLookUpsAtOnce) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(end - Clock::now());
    const auto count = std::min(kLookUpsAtOnce, brokers.size() - first);
    const auto look_up = [&](std::size_t i) {
      // A literal costs no time, also when none is left.
      return asio::co_spawn(
          executor, net::resolve(brokers[first + i].server.host, std::max(left, std::chrono::seconds(0))),
          asio::deferred);
    };
    std::vector<decltype(look_up(0))> look_ups;
    for (std::size_t i = 0; i < count; ++i) look_ups.push_back(look_up(i));
    auto [order, thrown, found] = co_await asio::experimental::make_parallel_group(std::move(look_ups))
                                      .async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
    for (std::size_t i = 0; i < count; ++i) {
      if (!thrown[i] && found[i]) brokers[first + i].addresses = *std::move(found[i]);
    }
  }
}

}  // namespace

std::vector<std::size_t> order_by_distance(const std::vector<std::optional<microseconds>>& distances) {
  std::vector<std::size_t> rest(distances.size());
  for (std::size_t i = 0; i < rest.size(); ++i) rest[i] = i;
  std::vector<std::size_t> order;
  while (!rest.empty()) {
    std::optional<microseconds> nearest;
    for (const auto i : rest) {
      if (distances[i]) nearest = std::min(nearest.value_or(microseconds::max()), *distances[i]);
    }
    // The first of those that are about as near as the nearest; the rest is asked again.
    const auto next = std::find_if(rest.begin(), rest.end(), [&](std::size_t i) {
      return !nearest || (distances[i] && *distances[i] <= *nearest + *nearest / 10 + kJitter);
    });
    order.push_back(*next);
    rest.erase(next);
  }
  return order;
}

asio::awaitable<std::vector<MeasuredBroker>> measure_brokers(const Config& config,
                                                             std::vector<net::ServerAddress> servers,
                                                             MeasureLimits limits) {
  std::vector<MeasuredBroker> brokers;
  brokers.reserve(servers.size());
  for (auto& server : servers) brokers.push_back({std::move(server), {}, {}});
  co_await resolve_all(brokers, limits.resolve);
  std::vector<tunnel::EchoTarget> targets;
  std::vector<std::size_t> owners;
  for (std::size_t i = 0; i < brokers.size(); ++i) {
    std::size_t used = 0;
    for (const auto& target : candidates(config, brokers[i].addresses, brokers[i].server.port)) {
      if (target.transport != tsp::Transport::kRudp || used++ == kMostAddresses) continue;
      targets.push_back({target.address, target.port, target.source});
      owners.push_back(i);
    }
  }
  const auto measured = co_await tunnel::measure(std::move(targets), limits.echo);
  for (std::size_t i = 0; i < measured.size(); ++i) {
    auto& distance = brokers[owners[i]].distance;
    if (measured[i]) distance = std::min(distance.value_or(microseconds::max()), *measured[i]);
  }
  std::vector<std::optional<microseconds>> distances;
  distances.reserve(brokers.size());
  for (const auto& broker : brokers) distances.push_back(broker.distance);
  std::vector<MeasuredBroker> sorted;
  for (const auto i : order_by_distance(distances)) sorted.push_back(std::move(brokers[i]));
  co_return sorted;
}

std::string describe(const std::vector<MeasuredBroker>& brokers) {
  std::string text;
  for (const auto& broker : brokers) {
    if (!text.empty()) text += ", ";
    text += tsp::printable(broker.server.text);
    text += broker.distance ? fmt::format(" {:.1f} ms", static_cast<double>(broker.distance->count()) / 1000)
            : broker.addresses.empty() ? " not resolved"
                                       : " no answer";
  }
  return text;
}

}  // namespace sixlink::client
