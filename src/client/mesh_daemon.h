// SPDX-License-Identifier: BSD-3-Clause
// A node of the mesh as it runs: its identity, what it sets up in the system,
// the node itself with sockets, links and router, and those who find others for
// it: registry, port mapping, beacons, cache.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/client/config.h"

namespace sixlink::client {

class MeshDaemon {
 public:
  struct Settings {
    // Once: the node has its address and takes links. Peers may be found at any
    // later time.
    std::function<void()> on_first_up = [] {};
  };

  // `io`, `config` and `log` outlive it.
  MeshDaemon(boost::asio::io_context& io, const Config& config, spdlog::logger& log, Settings settings);
  ~MeshDaemon();
  MeshDaemon(const MeshDaemon&) = delete;
  MeshDaemon& operator=(const MeshDaemon&) = delete;

  // Ends after stop(), or where the node cannot run (logged). The value is the
  // exit code.
  boost::asio::awaitable<int> run();
  // Says goodbye, takes everything down and ends run().
  void stop();

  // Requests of the control socket: status, peers, routes, topology. nullopt:
  // none of these.
  std::optional<std::string> answer(std::string_view request);
  // "path NODE": true, and `reply` will be called.
  bool answer_later(std::string_view request, std::function<void(std::string)> reply);

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace sixlink::client
