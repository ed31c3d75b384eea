// SPDX-License-Identifier: BSD-3-Clause
// Where client_only= is. A name may stand for several addresses, of which a network that a machine is in
// reaches some, and for others tomorrow: it is looked up again as long as there is no link.
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
  static constexpr std::size_t kMost = 6;  // addresses: each is tried by UDP and by TCP

  struct Events {
    // Never none.
    std::function<void(std::vector<mesh::Endpoint>)> on_found;
    std::function<void(const std::string&)> on_problem;  // in words; it is tried again
    std::function<bool()> has_link;
  };

  // `io` and `log` outlive it. Looks at once. Nothing is told after the destructor.
  MeshServers(boost::asio::io_context& io, net::ServerAddress server, MeshProtocols protocols,
              net::Prefix network, spdlog::logger& log, Events events);
  ~MeshServers();
  MeshServers(const MeshServers&) = delete;
  MeshServers& operator=(const MeshServers&) = delete;

  // Now: the network below is another one.
  void look();

 private:
  void look_after(std::chrono::seconds pause);
  void take(const boost::system::result<std::vector<boost::asio::ip::address>>& found);

  boost::asio::io_context& io_;
  net::ServerAddress server_;
  MeshProtocols protocols_;
  net::Prefix network_;
  spdlog::logger& log_;
  Events events_;
  boost::asio::steady_timer timer_;
  bool is_looking_ = false;
  std::string problem_;
  std::shared_ptr<bool> life_ = std::make_shared<bool>(true);
};

// Those of `addresses` that links may lead to, in their order.
std::vector<mesh::Endpoint> usable_servers(const std::vector<boost::asio::ip::address>& addresses,
                                           std::uint16_t port, const MeshProtocols& protocols,
                                           const net::Prefix& network);

}  // namespace sixlink::client
