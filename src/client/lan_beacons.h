// SPDX-License-Identifier: BSD-3-Clause
// Beacons of the local network (src/mesh/lan_beacon.h) over sockets: one for each interface that is named,
// which may come and go.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sixlink::client {

struct LanBeaconSettings {
  std::vector<std::string> interfaces;  // lan_interface=
  std::uint16_t link_port = 3653;       // where this node's links are reached
  std::uint64_t seed = 0;
};

// The event loop's thread.
class LanBeacons {
 public:
  // `endpoint`: the sender's link-local address, with the scope, and the port of its links. The contact has
  // not been verified.
  using OnHeard =
      std::function<void(std::span<const std::uint8_t> der, const boost::asio::ip::udp::endpoint& endpoint)>;

  // `io` and `log` outlive it.
  LanBeacons(boost::asio::io_context& io, LanBeaconSettings settings, spdlog::logger& log, OnHeard on_heard);
  LanBeacons(const LanBeacons&) = delete;
  LanBeacons& operator=(const LanBeacons&) = delete;
  ~LanBeacons();

  // This node's contact as signed. Before it there are no beacons.
  void set_own(std::span<const std::uint8_t> der);
  // Interfaces may have come, gone or changed; it looks by itself every 10 s.
  void on_network_change();

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace sixlink::client
