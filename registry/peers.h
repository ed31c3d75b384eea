// SPDX-License-Identifier: BSD-3-Clause
// `sixlink-registry peer export|list|delete`: WireGuard tunnels of users, for machines that do not speak TSP.
#pragma once

#include <iosfwd>

#include "registry/options.h"

namespace sixlink::registry {

// Works with a registry that runs with this configuration, through it, and without one, on its database.
int run_peer_command(const Options& options, std::ostream& out, std::ostream& err);

}  // namespace sixlink::registry
