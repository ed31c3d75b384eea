// SPDX-License-Identifier: BSD-3-Clause
// The administrator's commands that run with a node: up= once, daemon= kept running.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sixlink::client {

class MeshHooks {
 public:
  struct Settings {
    std::string up;
    std::string daemon;
    // sixlink_ip, sixlink_iface, sixlink_subnet, sixlink_network: NAME=VALUE.
    std::vector<std::string> environment;
  };
  // `io` and `log` outlive it. Their output goes to the log.
  MeshHooks(boost::asio::io_context& io, Settings settings, spdlog::logger& log);
  // Kills what runs still.
  ~MeshHooks();
  MeshHooks(const MeshHooks&) = delete;
  MeshHooks& operator=(const MeshHooks&) = delete;

  // Once; further calls do nothing.
  void start();
  // Ends them with SIGTERM. `done` when they have ended, or had two seconds.
  void stop(std::function<void()> done);

 private:
  class Command;
  std::vector<std::shared_ptr<Command>> commands_;
  boost::asio::io_context& io_;
  Settings settings_;
  spdlog::logger& log_;
};

}  // namespace sixlink::client
