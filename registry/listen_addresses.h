// SPDX-License-Identifier: BSD-3-Clause
// The value of a key that says where the registry listens: listen=, https_listen=.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "registry/config.h"

namespace sixlink::registry {

// Addresses separated by blanks, each with `default_port` unless it names one. nullopt: a name, a multicast
// address, none at all or more than 64.
std::optional<std::vector<ListenAddress>> parse_listen_addresses(std::string_view value,
                                                                 std::uint16_t default_port);

}  // namespace sixlink::registry
