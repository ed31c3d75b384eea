// SPDX-License-Identifier: BSD-3-Clause
// `sixlink-registry token|nodes|revoke|versions|addresses|topology|ca|admin ...`: on the mesh's database,
// whether a server runs or not; one that runs is told.
#pragma once

#include <iosfwd>

#include "registry/options.h"

namespace sixlink::registry {

// What the control socket is told after a change.
inline constexpr const char* kMeshChanged = "mesh changed";

int run_mesh_command(const Options& options, std::ostream& out, std::ostream& err);

}  // namespace sixlink::registry
