// SPDX-License-Identifier: BSD-3-Clause
// Holds one tunnel up: resolve, negotiate, create, keep alive, tear down, wait, again. Never gives up on a
// failure that may pass.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "src/client/broker_search.h"
#include "src/client/config.h"
#include "src/client/status.h"
#include "src/datapath/plain_tunnel.h"
#include "src/log/log.h"
#include "src/tunnel/keepalive.h"
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

  // Ends after stop(), or at the first failure where the settings say so. The value is the exit code: that of
  // the last failure when the tunnel is not up at the end, else 0.
  boost::asio::awaitable<int> run();
  // Takes the tunnel down and ends run().
  void stop();
  Status status() const;

 private:
  // Ends only by a failure; holds the tunnel while it is up.
  boost::asio::awaitable<Failed> attempt();
  boost::asio::awaitable<std::optional<Failed>> create(Grant grant);
  boost::asio::awaitable<Failed> keep_alive();
  boost::asio::awaitable<void> tear_down();

  void enter(State state);
  void start_datapath(boost::asio::ip::udp::socket socket);
  void on_up(const Grant& grant);
  SearchHooks search_hooks();

  boost::asio::io_context& io_;
  const Config& config_;
  spdlog::logger& log_;
  Settings settings_;
  boost::asio::steady_timer stop_signal_;
  boost::asio::steady_timer wake_;
  BrokerSearch search_;
  tunnel::TemplateRunner template_;
  tunnel::RetrySchedule retry_;
  log::RateLimit socket_error_limit_{3, std::chrono::seconds(60)};

  bool is_stopping_ = false;
  bool was_up_ = false;
  tunnel::TunnelParameters parameters_;
  std::unique_ptr<platform::TunDevice> tun_;  // until the datapath takes it
  std::unique_ptr<datapath::PlainTunnel> datapath_;
  std::optional<tunnel::Keepalive> keepalive_;
  std::optional<boost::system::error_code> interface_error_;
  std::chrono::steady_clock::time_point attempt_started_{};
  std::chrono::steady_clock::time_point up_since_{};
  std::chrono::steady_clock::time_point retry_at_{};
  Status status_;
};

}  // namespace sixlink::client
