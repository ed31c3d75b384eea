// SPDX-License-Identifier: BSD-3-Clause
// Finds a broker that grants a tunnel: names are resolved, addresses and transports tried, TSP's versions
// fallen back, redirections followed.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <variant>

#include "src/client/config.h"
#include "src/client/exit_code.h"
#include "src/tunnel/negotiator.h"

namespace sixlink::client {

// "UDP" or "TCP".
std::string_view name_of(tsp::Transport transport);

// What a broker granted, and over what.
struct Grant {
  net::ServerAddress server;
  tunnel::NegotiationTarget target;
  tunnel::Negotiation negotiation;  // with a tunnel
};

struct Failed {
  int code = kExitFailed;
  std::string message;
};

// Told while a search runs; each may be called many times.
struct SearchHooks {
  std::function<void()> on_resolving = [] {};
  std::function<void(std::chrono::microseconds)> on_resolved = [](std::chrono::microseconds) {};
  std::function<void()> on_negotiating = [] {};
  // The session that was granted a tunnel.
  std::function<void(std::chrono::microseconds, unsigned round_trips)> on_granted =
      [](std::chrono::microseconds, unsigned) {};
};

// One search at a time; `config` and `log` outlive it.
class BrokerSearch {
 public:
  BrokerSearch(const Config& config, spdlog::logger& log, SearchHooks hooks)
      : config_(config), log_(log), hooks_(std::move(hooks)) {}
  BrokerSearch(const BrokerSearch&) = delete;
  BrokerSearch& operator=(const BrokerSearch&) = delete;

  // Begins at the configured brokers and ends with a grant, or with the failure that tells the user most when
  // every broker was tried. Cancellable.
  boost::asio::awaitable<std::variant<Grant, Failed>> run();

 private:
  boost::asio::awaitable<tunnel::Negotiation> negotiate_versions(const tunnel::NegotiationTarget& target,
                                                                 const net::ServerAddress& server);

  const Config& config_;
  spdlog::logger& log_;
  SearchHooks hooks_;
};

}  // namespace sixlink::client
