// SPDX-License-Identifier: BSD-3-Clause
// Where client_only= is. A name may stand for several addresses, of which the network that a machine is in
// reaches some. It is looked up until there is one.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/client/mesh_config.h"
#include "src/mesh/node.h"
#include "src/net/server_address.h"

namespace sixlink::client {

class MeshServers {
 public:
  static constexpr std::size_t kMost = 6;  // addresses

  struct Events {
    // Once, and never none.
    std::function<void(const std::vector<mesh::Endpoint>&)> on_found;
    std::function<void(const std::string&)> on_problem;  // in words; it is tried again
  };

  // `io` and `log` outlive it. Nothing is told after the destructor, and nothing is done after on_found().
  MeshServers(boost::asio::io_context& io, net::ServerAddress server, MeshProtocols protocols,
              net::Prefix network, spdlog::logger& log, Events events);
  ~MeshServers();
  MeshServers(const MeshServers&) = delete;
  MeshServers& operator=(const MeshServers&) = delete;

 private:
  void look();
  void look_after(std::chrono::seconds pause);
  void take(const boost::system::result<std::vector<boost::asio::ip::address>>& found);

  boost::asio::io_context& io_;
  net::ServerAddress server_;
  MeshProtocols protocols_;
  net::Prefix network_;
  spdlog::logger& log_;
  Events events_;
  boost::asio::steady_timer timer_;
  std::string problem_;
  std::shared_ptr<bool> life_ = std::make_shared<bool>(true);
};

// Those of `addresses` that links may lead to, in their order.
std::vector<mesh::Endpoint> usable_servers(const std::vector<boost::asio::ip::address>& addresses,
                                           std::uint16_t port, const MeshProtocols& protocols,
                                           const net::Prefix& network);

// The first that this machine has a way to now, or else the first; there is one.
mesh::Endpoint best_server(const std::vector<mesh::Endpoint>& servers);

}  // namespace sixlink::client
