// SPDX-License-Identifier: BSD-3-Clause
// What the configuration makes of one TSP session: who asks, how it authenticates, what it asks for.
#pragma once

#include "src/client/config.h"
#include "src/tsp/client_session.h"

namespace sixlink::client {

// `config` outlives the sessions of the profile, which borrows the password. The version is the newest.
tsp::ClientProfile make_profile(const Config& config, const net::ServerAddress& server);

}  // namespace sixlink::client
