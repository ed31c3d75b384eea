// SPDX-License-Identifier: BSD-3-Clause
// What a node tells over the control socket, as JSON: man/sixlink.8 names the fields.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/client/babel_router.h"
#include "src/client/mesh_links.h"
#include "src/client/mesh_path.h"
#include "src/client/reachability.h"
#include "src/client/registry_sync.h"
#include "src/client/tls_transport.h"
#include "src/mesh/node.h"
#include "src/mesh/router.h"
#include "src/net/prefix.h"

namespace sixlink::client {

// A node of the mesh; borrowed for a call.
struct MeshView {
  std::string_view state;  // "starting", "alone" (no link is up), "up", "stopping"
  mesh::WallTime since{};
  mesh::WallTime now{};
  mesh::TimePoint steady_now{};
  net::Prefix network;
  net::Prefix prefix;
  net::AddressV6 address;
  std::optional<boost::asio::ip::address_v4> address_v4;
  std::string main_interface;
  bool is_gateway = false;
  const mesh::MeshNode* node = nullptr;
  const pki::Certificate* certificate = nullptr;
  std::vector<MeshLinks::Status> links;
  const std::vector<mesh::Route>* routes = nullptr;
  std::optional<BabelStatus> router;
  std::uint64_t foreign_announcements = 0;
  std::optional<RegistryState> registry;
  std::optional<ReachabilityStatus> reachability;
  std::optional<TlsCounters> tls;
  std::string last_error;
};

std::string mesh_status_json(const MeshView& view);
std::string mesh_peers_json(const MeshView& view);
std::string mesh_routes_json(const MeshView& view);
// As far as this node knows: its neighbours, and which nodes lie behind which of them.
std::string mesh_topology_json(const MeshView& view);
std::string mesh_path_json(const net::AddressV6& target, const MeshPathResult& result,
                           const std::vector<mesh::Route>& routes, const net::Prefix& own);
std::string mesh_error_json(const std::string& problem);
// Of any request while the node is not there yet.
std::string mesh_starting_json(const std::string& last_error);

// Which node an address of the network belongs to, by the routes. nullopt: none that is known.
std::optional<net::Prefix> node_of(const net::AddressV6& address, const std::vector<mesh::Route>& routes,
                                   const net::Prefix& own);
// "2001:db8:42:7::/64", "2001:db8:42:7::1" or another address of the node's: the address to look for.
std::optional<net::AddressV6> parse_node(std::string_view text);
// Prefix::1.
net::AddressV6 node_address(const net::Prefix& prefix);

}  // namespace sixlink::client
