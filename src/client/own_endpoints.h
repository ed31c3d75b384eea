// SPDX-License-Identifier: BSD-3-Clause
// Of all addresses that this machine has and was told, those that others are told to try, the best first.
#pragma once

#include <string>
#include <vector>

#include "platform/network.h"
#include "src/client/mesh_config.h"
#include "src/mesh/contact.h"
#include "src/mesh/port_mapping.h"
#include "src/net/prefix.h"

namespace sixlink::client {

struct OwnEndpointSettings {
  std::vector<mesh::ContactEndpoint> configured;  // in place of the public and the mapped ones
  std::uint16_t link_port = 3653;                 // UDP
  std::vector<std::uint16_t> tcp_ports;           // that are listened on
  MeshProtocols protocols;
  std::vector<net::Prefix> ignored;         // the mesh's own: no way into it leads through it
  std::string ignored_interfaces = "sixm";  // what the names of our links begin with
};

struct OwnAddresses {
  std::vector<platform::InterfaceAddress> interfaces;
  boost::asio::ip::address preferred;  // of the default route; unspecified: none
  std::vector<mesh::PortMapped> mapped;
};

// Mesh::Contact::kMostEndpoints at most.
std::vector<mesh::ContactEndpoint> own_endpoints(const OwnEndpointSettings& settings,
                                                 const OwnAddresses& found);

// Others of the Internet can be told this one: it is up, global, and not one of ours inside.
bool is_public(const OwnEndpointSettings& settings, const platform::InterfaceAddress& one);

// Private and shared addresses (RFC 1918, RFC 6598), IPv6's unique local ones (RFC 4193), and those that an
// interface makes up for itself (RFC 3927): others of the same network can use them, nobody else.
bool is_private(const boost::asio::ip::address& address);
// As far as addresses tell, a router may stand between this one and the Internet: it is private, or one of
// those for documentation (RFC 5737), which only laboratories have.
bool may_be_translated(const boost::asio::ip::address_v4& address);

}  // namespace sixlink::client
