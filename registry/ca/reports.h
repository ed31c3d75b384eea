// SPDX-License-Identifier: BSD-3-Clause
// What operators are told, as JSON and DOT: the same on the command line, the control socket and the API.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "registry/ca/contact_directory.h"

namespace sixlink::registry {

boost::json::object to_json(const ListedNode& node);
boost::json::object to_json(const Token& token);
boost::json::object to_json(const Revoked& revoked);
boost::json::object to_json(const Refusal& refusal);  // {"error": {...}}

boost::json::object nodes_report(const std::vector<ListedNode>& nodes);
boost::json::object versions_report(const std::vector<ListedNode>& nodes, std::uint64_t parameters);
boost::json::object addresses_report(const std::vector<ListedNode>& nodes);
boost::json::object topology_report(const std::vector<ListedNode>& nodes);
// Graphviz's language.
std::string topology_dot(const std::vector<ListedNode>& nodes);
boost::json::object authorities_report(const Authorities& authorities, WallTime now);

// Those whose e-mail address is `who`, or that have it in their name; case does not count.
std::vector<ListedNode> matching(const std::vector<ListedNode>& nodes, std::string_view who);

}  // namespace sixlink::registry
