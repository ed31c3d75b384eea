// SPDX-License-Identifier: BSD-3-Clause
// The checks of `sixlink doctor`, each for itself. None changes anything; each ends in a few seconds.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/udp.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/client/config.h"
#include "src/client/doctor.h"
#include "src/client/mesh_identity.h"
#include "src/client/registry_api.h"

namespace sixlink::client {

// ---- on this machine ----

Finding check_certificate(const MeshIdentity& identity, WallTime now);
// `answer`: the registry's of this moment.
Finding check_clock(const ApiResult<SeenAddress>& answer, WallTime now);
Finding check_babeld(const std::string& program);
// TUN, IPv6: what the kernel must have.
std::vector<Finding> check_kernel(const std::string& main_interface);
// `source`: what this machine sends from.
Finding check_mtu(const std::optional<boost::asio::ip::address>& source, int link_mtu);
// `json`: a running node's status; empty: none runs.
Finding check_node(std::string_view json, const std::string& problem);

// ---- on the network ----

// The registry's name.
Finding check_dns(const std::string& url);
Finding check_registry(const ApiResult<SeenAddress>& address,
                       const std::optional<ApiResult<FetchedParameters>>& known);

// Where other nodes can be reached, as far as this one knows.
struct KnownEndpoints {
  std::vector<mesh::ContactEndpoint> udp;
  std::vector<mesh::ContactEndpoint> tcp;
  // Where the registry says by UDP from where it is asked. Over IPv4.
  std::vector<boost::asio::ip::udp::endpoint> registry;
};
KnownEndpoints known_endpoints(const std::vector<SignedBytes>& contacts, const MeshIdentity& identity,
                               WallTime now);
std::vector<boost::asio::ip::udp::endpoint> registry_endpoints(const std::string& url);

// Where others see one socket of this machine, over IPv4.
struct NatSurvey {
  struct SeenBy {
    bool is_registry = false;
    boost::asio::ip::address observer;
    boost::asio::ip::udp::endpoint seen;
  };
  std::vector<SeenBy> seen;
  std::size_t asked = 0;
};
// Asks nodes for a link with `own`, this node, which none of them can make, and the registry.
NatSurvey ask_where_seen(const KnownEndpoints& endpoints, const net::Prefix& own);

// Whether a node answers an echo, or takes a connection. Where there is none, whether the registry, asked in
// `survey`, answered.
Finding check_udp(const KnownEndpoints& endpoints, const NatSurvey& survey, bool is_tcp_allowed);
Finding check_tcp(const KnownEndpoints& endpoints);

// As a running node told; `status` is check_node()'s.
mesh::NatKind nat_of(std::string_view status);
// `told`: that; where it is unknown, the survey says it.
Finding check_nat(const ApiResult<SeenAddress>& address, mesh::NatKind told, const NatSurvey& survey);

}  // namespace sixlink::client
