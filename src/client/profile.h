// SPDX-License-Identifier: BSD-3-Clause
// What the configuration makes of one TSP session: who asks, how it authenticates, what it asks for.
#pragma once

#include <spdlog/logger.h>

#include "src/client/config.h"
#include "src/tsp/client_session.h"

namespace sixlink::client {

// `config` and `log` outlive the sessions of the profile, which borrows the password and looks host keys up
// in state_dir. The version is the newest.
tsp::ClientProfile make_profile(const Config& config, const net::ServerAddress& server, spdlog::logger& log);

}  // namespace sixlink::client
