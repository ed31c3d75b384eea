// SPDX-License-Identifier: BSD-3-Clause
// What the commands status, peers, routes, path and topology print for people, from the JSON that the daemon
// sent (mesh_status.h). nullopt: not such an answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sixlink::client {

// The daemon's refusal: {"error": "..."}. Empty: it is none.
std::string answer_problem(std::string_view json);

// Of a node; nullopt also for a tunnel client's status.
std::optional<std::string> render_node_status(std::string_view json);
std::optional<std::string> render_peers(std::string_view json);
std::optional<std::string> render_routes(std::string_view json);
std::optional<std::string> render_path(std::string_view json);
bool is_reached(std::string_view path_json);
std::optional<std::string> render_topology(std::string_view json);
// For Graphviz.
std::optional<std::string> render_dot(std::string_view json);

}  // namespace sixlink::client
