// SPDX-License-Identifier: BSD-3-Clause
// The commands that ask a running node: peers, routes, path, topology.
#pragma once

#include <string>

#include "src/client/options.h"

namespace sixlink::client {

// Of the daemon whose control socket this is. The exit status: 0; 1: the answer is a bad one (a path that
// does not lead there, a node that has not started); 2: no daemon answers.
int show_mesh(const std::string& socket_path, const Options& options);

}  // namespace sixlink::client
