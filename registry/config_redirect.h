// SPDX-License-Identifier: BSD-3-Clause
// The keys of sixlink-registry.conf about sending newcomers to other brokers, and the checks between them.
#pragma once

#include "registry/config.h"

namespace sixlink::registry {

void append_redirect_keys(std::vector<config::Key<Config>>& keys);
// Fills in what is not given.
void check_redirect(Config& config, config::KeyReport& report);

}  // namespace sixlink::registry
