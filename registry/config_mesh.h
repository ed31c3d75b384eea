// SPDX-License-Identifier: BSD-3-Clause
// The keys of sixlink-registry.conf about the mesh, and the checks between them.
#pragma once

#include <vector>

#include "registry/config.h"

namespace sixlink::registry {

void append_mesh_keys(std::vector<config::Key<Config>>& keys);
void check_mesh(Config& config, config::KeyReport& report);

// "https://registry.example.net:8443/": nothing but a host and a port. nullopt: not such a URL.
struct RegistryUrl {
  std::string text;  // with a "/" at the end
  std::string host;  // without brackets
  std::uint16_t port = 443;
};
std::optional<RegistryUrl> parse_registry_url(std::string_view text);

}  // namespace sixlink::registry
