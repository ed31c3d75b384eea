// SPDX-License-Identifier: BSD-3-Clause
// Finds a broker that grants a tunnel: names are resolved, the closest brokers taken first, addresses and
// transports tried, TSP's versions fallen back, redirections followed, what was learnt remembered in files.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "src/client/broker_distance.h"
#include "src/client/broker_files.h"
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
  // How the broker was found: "server" (of the configuration), "broker_list", "last_server", or "redirected
  // by NAME".
  std::string found;
};

struct Failed {
  int code = kExitFailed;
  std::string message;
  bool is_immediate = false;  // another attempt is worth it at once
  bool is_passing = false;    // a broker that answered before does not now: the delay is not to grow
};

// What a broker at `from` may send its clients to: not this machine, which runs what the broker has no
// business with, nor what means somebody else on every network. Pure.
bool may_be_redirected(const boost::asio::ip::address& from, const boost::asio::ip::address& to);

// Told while a search runs; each may be called many times.
struct SearchHooks {
  // Names are resolved, or brokers measured.
  std::function<void()> on_resolving = [] {};
  std::function<void(std::chrono::microseconds)> on_resolved = [](std::chrono::microseconds) {};
  std::function<void()> on_negotiating = [] {};
  // The session that was granted a tunnel.
  std::function<void(std::chrono::microseconds, unsigned round_trips)> on_granted =
      [](std::chrono::microseconds, unsigned) {};
};

// One search at a time; `config` and `log` outlive it. It remembers over its searches which brokers answered
// over UDP: where packets are lost, three of them in a row say little, and another transport is no better.
class BrokerSearch {
 public:
  BrokerSearch(const Config& config, spdlog::logger& log, SearchHooks hooks)
      : config_(config),
        log_(log),
        hooks_(std::move(hooks)),
        files_(config.broker_list, config.last_server, config.state_dir, log) {}
  BrokerSearch(const BrokerSearch&) = delete;
  BrokerSearch& operator=(const BrokerSearch&) = delete;

  // Begins at last_server (always_use_same_server=yes) and the configured brokers, goes on to broker_list
  // when those are out of reach, and ends with a grant, or with the failure that tells the user most when
  // every broker was tried. Cancellable.
  boost::asio::awaitable<std::variant<Grant, Failed>> run();
  // Of the last run: a broker that had answered over UDP before did not.
  bool has_met_silence() const { return progress_.has_met_silence; }

 private:
  // A broker to be tried.
  struct Pending {
    net::ServerAddress server;
    std::vector<boost::asio::ip::address> addresses;  // empty: to be resolved
    std::string found;                                // as in Grant
    std::vector<std::string> path;                    // who redirected to whom to get here
    boost::asio::ip::address redirector = {};         // the last of them
  };

  // One search's memory.
  struct Progress {
    std::deque<Pending> pending;
    std::set<std::string> names;      // tried: "host port"
    std::set<std::string> endpoints;  // tried: "address:port"
    std::size_t redirected = 0;       // brokers that redirections named
    bool has_met_silence = false;
    Failed reported{kExitCannotConnect, "no broker is configured"};
    int significance = -2;
  };

  boost::asio::awaitable<void> collect();
  boost::asio::awaitable<std::optional<Grant>> try_pending();
  boost::asio::awaitable<std::optional<Grant>> try_broker(Pending broker);
  boost::asio::awaitable<void> follow(const Pending& from, const boost::asio::ip::address& redirector,
                                      const std::vector<net::ServerAddress>& to);
  boost::asio::awaitable<std::vector<MeasuredBroker>> measured(std::vector<net::ServerAddress> servers,
                                                               MeasureLimits limits);
  boost::asio::awaitable<tunnel::Negotiation> negotiate_versions(const tunnel::NegotiationTarget& target,
                                                                 const net::ServerAddress& server);
  // Asks a broker that answered before again, when it is silent.
  boost::asio::awaitable<tunnel::Negotiation> negotiate_patiently(const tunnel::NegotiationTarget& target,
                                                                  const net::ServerAddress& server);
  void note(int significance, int code, std::string message);
  void note_circle(const std::vector<std::string>& path, const net::ServerAddress& server);

  const Config& config_;
  spdlog::logger& log_;
  SearchHooks hooks_;
  BrokerFiles files_;
  Progress progress_;
  // Endpoints that answered over UDP, and in how many searches since they did not.
  std::map<std::string, int> silences_;
};

}  // namespace sixlink::client
