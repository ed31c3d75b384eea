// SPDX-License-Identifier: BSD-3-Clause
// One router that is asked for ports: IPv4's, which maps them, or IPv6's, whose firewall opens for them. What
// PortMapping needs of the system: sockets to the router, the helper for UPnP, a timer.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/mesh/port_mapping.h"

namespace sixlink::client {

struct PortMappingStatus {
  mesh::MappingProtocol protocol = mesh::MappingProtocol::kNone;
  std::vector<mesh::PortMapped> mapped;
  std::string gateway;  // empty: there is none, or it is not asked
  std::string problem;  // why nothing is mapped
};

// The event loop's thread.
class PortMapper {
 public:
  // `io` and `log` outlive it. `igd_command`: the program with the command igd-helper. `on_change`: mapped()
  // is another, or has_left() has become true; not after the destructor.
  PortMapper(boost::asio::io_context& io, const std::vector<mesh::PortMapping::Wanted>& wanted,
             std::uint64_t seed, std::string igd_command, spdlog::logger& log,
             std::function<void()> on_change);
  PortMapper(const PortMapper&) = delete;
  PortMapper& operator=(const PortMapper&) = delete;
  ~PortMapper();

  // To be told at every look, also when nothing changed: sockets that failed are opened again.
  void set_network(const std::optional<mesh::PortMapping::Network>& network);
  // Begins to remove the mappings.
  void leave();
  bool has_left() const;
  std::vector<mesh::PortMapped> mapped() const;
  PortMappingStatus status() const;

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace sixlink::client
