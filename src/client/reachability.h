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

#include "src/mesh/contact.h"
#include "src/mesh/port_mapping.h"
#include "src/net/prefix.h"

namespace sixlink::client {

struct ReachabilitySettings {
  std::vector<mesh::ContactEndpoint> configured;  // endpoint=: in place of the rest, but for local ones
  std::uint16_t link_port = 3653;                 // UDP
  std::vector<std::uint16_t> tcp_ports;           // that are listened on (TlsTransport::listening_ports())
  bool uses_udp = true;                           // link_transport=
  bool maps_ports = true;                         // port_mapping=
  std::string main_interface;                     // main_interface=; empty: all
  std::vector<net::Prefix> ignored;               // the mesh's own: no way into it leads through it
  std::string ignored_interfaces = "sixm";        // what the names of our links begin with
  std::uint64_t seed = 0;                         // unpredictable
};

struct ReachabilityStatus {
  std::vector<mesh::ContactEndpoint> endpoints;
  mesh::MappingProtocol protocol = mesh::MappingProtocol::kNone;
  std::vector<mesh::PortMapped> mapped;
  std::string gateway;
  std::string problem;  // why nothing is mapped
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

  // Removes the mappings; `done` is called once, within 3 s, from the loop or at once.
  void leave(std::function<void()> done);
  ReachabilityStatus status() const;

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

// sixlink's own command that speaks UPnP for it, in a process of its own without privileges: what routers say
// is XML from anybody. `arguments`: what follows the command's name. Returns the exit code.
int run_igd_helper(const std::vector<std::string>& arguments);
inline constexpr const char* kIgdHelperCommand = "igd-helper";

}  // namespace sixlink::client
