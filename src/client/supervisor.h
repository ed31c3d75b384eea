// SPDX-License-Identifier: BSD-3-Clause
// Holds one tunnel up: resolve, negotiate, create, keep alive, tear down, wait, again. Never gives up on a
// failure that may pass.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <optional>
#include <string>

#include "src/client/broker_search.h"
#include "src/client/config.h"
#include "src/client/exit_code.h"
#include "src/client/status.h"
#include "src/client/tunnel_holder.h"
#include "src/tunnel/lease_clock.h"
#include "src/tunnel/parameters.h"
#include "src/tunnel/retry.h"
#include "src/tunnel/template_runner.h"

namespace sixlink::client {

//  starting -> resolving -> negotiating -> configuring -> up --dead, error--> tearing-down -> waiting
//                 ^ |              |              |                                               ^  |
//                 | +--------------+--------------+-----------------failure-----------------------+  |
//                 +----------------------------------------------------------------------------------+
//  stop() from anywhere: tearing-down where something was created, then run() ends
class Supervisor {
 public:
  struct Settings {
    bool give_up_at_first_failure = false;  // -b, or auto_retry_connect=no
    int verbosity = 0;                      // for the template
    std::string data_dir;                   // where templates are installed
    std::function<void()> on_first_up;      // once: the tunnel is up for the first time
  };

  // `config`, `log` and `io` outlive the supervisor.
  Supervisor(boost::asio::io_context& io, const Config& config, spdlog::logger& log, Settings settings);
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Ends after stop(), or at the first failure where the settings say so, or when nobody is needed any more
  // (proxy_client; keepalive=no on an interface of the kernel's). The value is the exit code: that of the
  // last failure when the tunnel is not up at the end, else 0.
  boost::asio::awaitable<int> run();
  // Takes the tunnel down and ends run().
  void stop();
  // The same, and gives the lease back to the broker. What came of it is in release_result().
  void release();
  const tunnel::DeleteResult& release_result() const { return release_result_; }
  Status status();

 private:
  // Ends only by a failure; holds the tunnel while it is up. nullopt: it is up and needs nobody.
  boost::asio::awaitable<std::optional<Failed>> attempt();
  boost::asio::awaitable<std::optional<Failed>> negotiate();
  // Whether the grant of mode wireguard may be used; completes parameters_.
  std::optional<Failed> check_wireguard(const Grant& grant);
  boost::asio::awaitable<std::optional<Failed>> find_aftr();
  // Ends when the tunnel must be negotiated anew; as long as it can, it keeps the lease of the one that is
  // up.
  boost::asio::awaitable<Failed> keep_lease();
  boost::asio::awaitable<std::optional<Failed>> renew();
  boost::asio::awaitable<void> tear_down();
  boost::asio::awaitable<void> give_back(std::optional<boost::asio::ip::udp::socket> socket);
  // Waits for the time, for stop(), or for a network that is not what it was.
  boost::asio::awaitable<void> pause(std::chrono::milliseconds time);
  boost::asio::awaitable<int> run_until_stopped();
  boost::asio::awaitable<void> watch_network();
  void on_change(const platform::ChangeMonitor::Changes& changes);

  void enter(State state);
  void on_up();
  void fill_in(const Grant& grant);
  SearchHooks search_hooks();

  boost::asio::io_context& io_;
  const Config& config_;
  spdlog::logger& log_;
  Settings settings_;
  boost::asio::steady_timer stop_signal_;
  boost::asio::steady_timer pause_;
  BrokerSearch search_;
  tunnel::TemplateRunner template_;
  TunnelHolder holder_;
  tunnel::RetrySchedule retry_;

  // Who granted the last tunnel, over what, and how it is named to him.
  struct Leased {
    net::ServerAddress server;
    tunnel::NegotiationTarget target;
    tsp::DeleteRequest request;
    tsp::TunnelInfo tunnel;
    std::string version;  // of TSP
    tunnel::LeaseClock clock;
  };

  bool is_stopping_ = false;
  bool is_releasing_ = false;
  std::optional<Leased> leased_;
  tunnel::DeleteResult release_result_{false, "no tunnel was granted since the start"};
  bool was_up_ = false;
  std::size_t aftr_ = 0;  // of the configured ones: the first to be tried
  // What create() is to make of the attempt's negotiation.
  tunnel::TunnelParameters parameters_;
  std::optional<boost::asio::ip::udp::socket> socket_;
  std::string network_;  // as it was when the pause began
  // Of attempts for the network's sake: other tunnels and containers of this machine change it all the time.
  log::RateLimit hurry_limit_{6, std::chrono::seconds(120)};
  std::chrono::steady_clock::time_point attempt_started_{};
  std::chrono::steady_clock::time_point up_since_{};
  std::chrono::steady_clock::time_point retry_at_{};
  Status status_;
};

}  // namespace sixlink::client
