// SPDX-License-Identifier: BSD-3-Clause
// Where others can reach this node, as far as this machine can find out by itself: what is configured, the
// addresses of its interfaces, the ports that its router maps. What peers see is MeshNode's own business.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/client/own_endpoints.h"
#include "src/client/port_mapper.h"
#include "src/mesh/contact.h"

namespace sixlink::client {

struct ReachabilitySettings : OwnEndpointSettings {
  bool maps_ports = true;   // port_mapping=
  std::uint64_t seed = 0;   // unpredictable
  std::string igd_command;  // the program with the command igd-helper; empty: this one
};

struct ReachabilityStatus {
  std::vector<mesh::ContactEndpoint> endpoints;
  PortMappingStatus ipv4;
  PortMappingStatus ipv6;  // of a firewall that is open
};

// The event loop's thread.
class Reachability {
 public:
  using OnEndpoints = std::function<void(std::vector<mesh::ContactEndpoint>)>;

  // `io` and `log` outlive it. `on_endpoints`: all of them, the best first; from the loop, soon after the
  // start, and then when they change.
  Reachability(boost::asio::io_context& io, ReachabilitySettings settings, spdlog::logger& log,
               OnEndpoints on_endpoints);
  Reachability(const Reachability&) = delete;
  Reachability& operator=(const Reachability&) = delete;
  // Without leave() mappings stay until their lifetime ends.
  ~Reachability();

  // Removes the mappings; `done` is called once, within 3 s, from the loop. Nothing else is called any more.
  void leave(std::function<void()> done);
  ReachabilityStatus status() const;

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace sixlink::client
