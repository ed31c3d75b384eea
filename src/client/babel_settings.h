// SPDX-License-Identifier: BSD-3-Clause
// How babeld is run for the mesh, and the configuration that follows from it: what this node announces and
// what it believes of others. babeld(8).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/client/babel_protocol.h"
#include "src/net/prefix.h"

namespace sixlink::client {

struct BabelSettings {
  std::string program = "babeld";  // a path, or a name that is looked for in PATH and where administrators'
                                   // programs are
  // Both are made if they are missing, and are this router's alone. What is in the second outlives restarts
  // of the machine: the sequence number, without which others would pass over this node's routes for minutes.
  std::string run_directory;
  std::string state_directory;

  net::Prefix network;
  net::Prefix prefix;  // this node's, in the network
  std::optional<net::PrefixV4> network_v4;
  std::optional<net::PrefixV4> prefix_v4;
  // May announce a default route, and takes none of others'.
  bool is_gateway = false;
  // Uses and passes on the default routes of gateways. A node that has one of its own and no table for this
  // one must not: packets would leave where the rest of the mesh does not expect it.
  bool accepts_default = false;
  // The gateways to be preferred, the best first, by the prefixes of their nodes. Others' default routes are
  // used when these have none.
  std::vector<net::Prefix> preferred_gateways;
  // What packets of this machine's own into the mesh have as their source, unless the program chose one.
  std::optional<net::AddressV6> source;
  std::optional<boost::asio::ip::address_v4> source_v4;

  unsigned table = 254;                   // of the kernel's, for routes learned: main
  std::optional<unsigned> default_table;  // for default routes learned; none: as the others
  // Holds the destinations that this node announces, each as an unreachable route. No rule leads there; it is
  // emptied at the start and at the end.
  unsigned announce_table = 3653;
  std::chrono::milliseconds hello_interval{4000};
  // Not Babel's 6696: another babeld on the machine, for other networks, has that.
  std::uint16_t port = 6697;
};

// Metrics in the kernel of routes learned: above those of native routes, which so stay preferred. Each time
// that babeld is started it has one that is lower by one, so that what it learns comes before what a
// predecessor that was killed has left.
inline constexpr std::uint32_t kFirstRouteMetric = 3999;
inline constexpr std::uint32_t kLastRouteMetric = 3000;
// Of what was retracted babeld makes the kernel say so for a while ("unreachable"): its infinity.
inline constexpr std::uint32_t kRetractedMetric = UINT32_MAX;

// A route that babeld is to refuse, though the network's rules would allow it.
struct RefusedRoute {
  mesh::Destination destination;
  RouterId origin;

  friend bool operator==(const RefusedRoute&, const RefusedRoute&) = default;
};

// The configuration file: all but the interfaces.
std::string babel_configuration(const BabelSettings& settings, std::uint32_t route_metric,
                                const std::vector<RefusedRoute>& refused);
// The line that adds a link's interface, of the file or over the local socket; without its end.
std::string babel_interface(const BabelSettings& settings, const std::string& name, std::uint32_t cost);

// Names that may stand in such a line. Others are refused before.
bool is_babel_interface_name(const std::string& name);

// babeld's state file, which it reads and removes when it starts, and writes when it ends as it should.
// nullopt: not for this router.
std::optional<std::uint16_t> sequence_of_state(const std::string& text, const RouterId& id);
std::string state_with_sequence(std::uint16_t sequence, const RouterId& id);

}  // namespace sixlink::client
