// SPDX-License-Identifier: BSD-3-Clause
// What sixlink.conf says of the mesh, checked. man/sixlink.conf.5, "The mesh", has each key's meaning.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/config/key_table.h"
#include "src/mesh/contact.h"
#include "src/net/prefix.h"
#include "src/net/server_address.h"

namespace sixlink::client {

struct Config;

// What carries links outside. All of them unless disable_proto takes some away.
struct MeshProtocols {
  bool udp4 = true;
  bool udp6 = true;
  bool tcp4 = true;
  bool tcp6 = true;

  bool has(mesh::Transport transport, bool is_v4) const {
    if (transport == mesh::Transport::kUdp) return is_v4 ? udp4 : udp6;
    return is_v4 ? tcp4 : tcp6;
  }
  bool has(mesh::Transport transport) const { return has(transport, true) || has(transport, false); }
  friend bool operator==(const MeshProtocols&, const MeshProtocols&) = default;
};

struct MeshConfig {
  std::string registry;   // "https://registry.example.net:3654"; empty: this is no node of a mesh
  std::string directory;  // <state_dir>/mesh, absolute

  std::vector<net::Prefix> neighbours;            // always linked, besides the random ones
  std::optional<net::ServerAddress> client_only;  // one link, to whoever answers there
  // Where others reach this node from outside, as its administrator knows (kPublic).
  std::vector<mesh::ContactEndpoint> endpoints;
  // Gateways of this machine's own networks: the ways to peers lead through them by turns, not through the
  // default route.
  std::vector<boost::asio::ip::address> remote_gateways;
  MeshProtocols protocols;
  std::vector<mesh::Transport> transports{mesh::Transport::kUdp, mesh::Transport::kTcp};  // the best first
  std::uint16_t port = net::kTspPort;
  std::vector<std::uint16_t> tcp_ports{net::kTspPort};  // none: no TLS is accepted, only begun
  int mtu = 1420;                                       // of links
  bool is_gateway = false;                              // exports a default route
  std::vector<net::Prefix> preferred_gateways;          // whose default route is used, the best first
  std::string main_interface = "lo";                    // has the node's address
  std::vector<std::string> lan_interfaces;
  bool port_mapping = true;
  // Overrides of the network's parameters.
  std::optional<int> client_count;
  std::optional<std::chrono::seconds> tunnel_refresh;
  std::size_t most_served = 0;  // 0: twice client_count
  std::string babeld = "babeld";
  // For /bin/sh -c. `up` once the node has its address and a first link; `daemon` likewise, and kept running.
  std::string up;
  std::string daemon;

  bool is_node() const { return !registry.empty(); }
  // Files of `directory`.
  std::string authority_path() const { return directory + "/ca.pem"; }
  std::string key_path() const { return directory + "/node.key"; }
  std::string certificate_path() const { return directory + "/node.pem"; }
  std::string wireguard_key_path() const { return directory + "/wireguard.key"; }
  std::string parameters_path() const { return directory + "/parameters.der"; }
  std::string prefix_v4_path() const { return directory + "/prefix_v4"; }
  std::string contacts_path() const { return directory + "/contacts"; }
};

// Of the keys of the mesh, in the order of the man page and of conf/sixlink.conf.
void append_mesh_keys(std::vector<config::Key<Config>>& keys);

// What keys of the mesh say against each other and against those of the tunnel client.
void cross_check_mesh(const Config& config, config::KeyReport& report);

// "https://HOST[:PORT]" with or without a "/" at the end, as it is kept: without. nullopt: anything else.
std::optional<std::string> parse_registry_url(std::string_view text);

}  // namespace sixlink::client
