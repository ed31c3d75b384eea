// SPDX-License-Identifier: BSD-3-Clause
// The commands that ask a running node.
#include "src/client/mesh_commands.h"

#include <cstdio>
#include <optional>

#include "src/client/mesh_views.h"
#include "src/control/control_socket.h"

namespace sixlink::client {
namespace {

std::string request_of(const Options& options) {
  switch (options.command) {
    case Command::kPeers:
      return "peers";
    case Command::kRoutes:
      return "routes";
    case Command::kPath:
      return "path " + options.node;
    default:
      return "topology";
  }
}

std::optional<std::string> render(const Options& options, const std::string& answer) {
  switch (options.command) {
    case Command::kPeers:
      return render_peers(answer);
    case Command::kRoutes:
      return render_routes(answer);
    case Command::kPath:
      return render_path(answer);
    default:
      return options.dot ? render_dot(answer) : render_topology(answer);
  }
}

}  // namespace

int show_mesh(const std::string& socket_path, const Options& options) {
  const auto answer = control::ask_daemon(socket_path, request_of(options));
  if (!answer) {
    std::fprintf(stderr, "sixlink: no daemon answers on %s: %s\n", socket_path.c_str(),
                 answer.error().message().c_str());
    return 2;
  }
  const auto problem = answer_problem(*answer);
  if (options.json) {
    std::printf("%s\n", answer->c_str());
  } else if (!problem.empty()) {
    const bool is_client = problem == "unknown request";
    std::fprintf(
        stderr, "sixlink: %s\n",
        is_client ? "the program that runs is a tunnel client, not a node of a mesh" : problem.c_str());
  } else if (const auto text = render(options, *answer)) {
    std::fputs(text->c_str(), stdout);
  } else {
    std::fprintf(stderr,
                 "sixlink: the daemon gives no such answer: is it of this version, and has it started?\n");
    return 1;
  }
  if (!problem.empty()) return 1;
  return options.command == Command::kPath && !is_reached(*answer) ? 1 : 0;
}

}  // namespace sixlink::client
