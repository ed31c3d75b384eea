// SPDX-License-Identifier: BSD-3-Clause
// The keys of sixlink-registry.conf for mode wireguard.
#pragma once

#include <string_view>
#include <vector>

#include "registry/config.h"
#include "src/config/key_table.h"

namespace sixlink::registry {

void append_wireguard_keys(std::vector<config::Key<Config>>& keys);
void check_wireguard(Config& config, config::KeyReport& report);

// 1 to 15 of [A-Za-z0-9_.-], not beginning with "-", nor "." or "..": nothing that a command could take for
// an option or a path.
bool is_interface_name(std::string_view name);

}  // namespace sixlink::registry
