// SPDX-License-Identifier: BSD-3-Clause
// `sixlink join URL`: this machine becomes a node of a mesh. Run again it changes nothing that is good.
#pragma once

#include "src/client/config.h"
#include "src/client/options.h"

namespace sixlink::client {

// The exit status. `config` is what the file says now, or its defaults where there is none.
int run_join(const Config& config, const Options& options);

}  // namespace sixlink::client
