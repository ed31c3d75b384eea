// SPDX-License-Identifier: BSD-3-Clause
// What the mesh asks of a routing protocol. The client drives babeld (src/client/babel_router.h); simulations
// have an exact router of their own (tests/sim).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "src/net/prefix.h"

namespace sixlink::mesh {

// A destination prefix, of either family.
using Destination = std::variant<net::Prefix, net::PrefixV4>;
inline std::string to_string(const Destination& destination) {
  return std::visit([](const auto& prefix) { return prefix.to_string(); }, destination);
}

// One installed route of the routing table.
struct Route {
  Destination destination;
  std::string interface;     // of the link that it leads into
  std::uint32_t metric = 0;  // Babel's
  // The router that announced it, where the protocol tells; empty: it does not.
  std::string origin;

  friend bool operator==(const Route&, const Route&) = default;
};

struct RouterNeighbour {
  std::string interface;
  std::optional<std::chrono::microseconds> rtt;
  std::uint32_t cost = 0;     // of the link, as the protocol has it now
  unsigned reachability = 0;  // Babel's 16 bits of received hellos

  friend bool operator==(const RouterNeighbour&, const RouterNeighbour&) = default;
};

// Somebody announces what is not theirs.
struct ForeignAnnouncement {
  Destination destination;
  // The router that says so, as Route::origin. It names itself: a node that lies about its prefix may lie
  // about this too.
  std::string origin;
  std::string interface;  // of the link that it was heard on
  bool is_own = false;    // this node's prefix, or a part of it
  // The routing table has it: it was not refused, and is better than what else there is.
  bool is_followed = false;

  friend bool operator==(const ForeignAnnouncement&, const ForeignAnnouncement&) = default;
};

// Whom a route's change is told. `installed` is the whole of it: it replaces what was told before.
struct RouterEvents {
  std::function<void(const std::vector<Route>& installed)> on_routes = [](const auto&) {};
  std::function<void(const std::vector<RouterNeighbour>& neighbours)> on_neighbours = [](const auto&) {};
  // Once for each as long as it lasts, and again when it comes to be followed.
  std::function<void(const ForeignAnnouncement& foreign)> on_foreign = [](const auto&) {};
  // It does not run any more, and is being started again; or runs (again), with everything that it was told
  // before.
  std::function<void(const std::string& why)> on_down = [](const auto&) {};
  std::function<void()> on_up = [] {};
};

// The control thread's. What it is told holds until it is told otherwise, also when the protocol's process
// is started again.
class Router {
 public:
  virtual ~Router() = default;

  // A link has come up. Its traffic costs `cost` more than its round trip says; 0: nothing.
  virtual void add_link(const std::string& interface, std::uint32_t cost) = 0;
  virtual void set_cost(const std::string& interface, std::uint32_t cost) = 0;
  // It is dead or going: routes through it are withdrawn at once, without waiting for hellos.
  virtual void remove_link(const std::string& interface) = 0;
  // Makes the rest of the network believe what of it is this node's: its prefix, and a default route where it
  // is a gateway.
  virtual void announce(const std::vector<Destination>& destinations) = 0;
};

}  // namespace sixlink::mesh
