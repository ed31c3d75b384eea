// SPDX-License-Identifier: BSD-3-Clause
// The parts of the mesh's registry, as the configuration wants them.
#pragma once

#include "registry/api/mesh_api.h"
#include "registry/ca/registrar.h"
#include "registry/config.h"

namespace sixlink::registry {

RegistrarSettings registrar_settings(const Config& config);
MeshApiSettings api_settings(const Config& config);

}  // namespace sixlink::registry
