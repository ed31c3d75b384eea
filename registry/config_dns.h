// SPDX-License-Identifier: BSD-3-Clause
// The keys of sixlink-registry.conf about names in DNS, and the checks between them.
#pragma once

#include <vector>

#include "registry/config.h"

namespace sixlink::registry {

void append_dns_keys(std::vector<config::Key<Config>>& keys);
// Also fills in reverse_zone and user_zone where they are not given.
void check_dns(Config& config, config::KeyReport& report);

}  // namespace sixlink::registry
