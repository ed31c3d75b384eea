// SPDX-License-Identifier: BSD-3-Clause
// The mesh's routing by babeld: run as a child, told of links over its local socket, watched, and started
// again with everything that it was told when it ends.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/client/babel_settings.h"
#include "src/client/inner_v4.h"
#include "src/mesh/router.h"

namespace spdlog {
class logger;
}

namespace sixlink::client {

struct BabelStatus {
  bool is_running = false;  // and told of everything
  std::string problem;      // why it does not run; empty: it does, or nobody started it
  std::string version;      // "babeld-1.12.1"
  long pid = -1;
  unsigned restarts = 0;  // since start()
  std::size_t routes = 0;
};

// The control thread's, which it never holds up but for the moment that a process takes to be killed. Events
// come from the event loop, not from inside of calls; whoever is called must not destroy the router.
//
// The machine's part is the caller's: interfaces that are up and have a link-local address, IPv6 forwarding
// (and, for IPv4, forwarding and rp_filter=0 on the links), rules that lead to the tables of `settings`.
class BabelRouter final : public mesh::Router {
 public:
  // `logger` outlives the router.
  BabelRouter(boost::asio::io_context& io, BabelSettings settings, spdlog::logger& logger,
              mesh::RouterEvents events);
  // Kills babeld if it runs; no route that it learned stays.
  ~BabelRouter() override;
  BabelRouter(const BabelRouter&) = delete;
  BabelRouter& operator=(const BabelRouter&) = delete;

  void start();
  // Ends babeld, which tells its neighbours and takes its routes away; `on_stopped` when that is done, after
  // three seconds at the latest.
  void stop(std::function<void()> on_stopped = [] {});

  void add_link(const std::string& interface, std::uint32_t cost) override;
  // For some hundred milliseconds the interface has no carrier and no routes: see babel_links.h.
  void set_cost(const std::string& interface, std::uint32_t cost) override;
  // Switches the interface off. Whoever adds it again brings it up before.
  void remove_link(const std::string& interface) override;
  // This node's prefixes, and a default route where it is a gateway: babeld passes over everything else.
  void announce(const std::vector<mesh::Destination>& destinations) override;

  // IPv4 inside is another one, or none any more: babeld, which cannot be told, is started again. The kernel
  // keeps the routes meanwhile. `network`: the one that others may announce of by now.
  void use_v4(const std::optional<InnerV4>& v4, const std::optional<net::PrefixV4>& network);

  // For links that are added; those that are there take it one after another.
  void set_hello_interval(std::chrono::milliseconds interval);

  BabelStatus status() const;
  // As babeld has them now.
  const std::vector<mesh::Route>& routes() const;
  std::vector<mesh::RouterNeighbour> neighbours() const;

 private:
  class Driver;
  std::shared_ptr<Driver> driver_;
};

}  // namespace sixlink::client
