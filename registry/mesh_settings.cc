// SPDX-License-Identifier: BSD-3-Clause
#include "registry/mesh_settings.h"

namespace sixlink::registry {

RegistrarSettings registrar_settings(const Config& config) {
  const auto& mesh = config.mesh;
  RegistrarSettings settings;
  settings.network = *mesh.network;
  settings.network_v4 = mesh.network_v4;
  settings.key_directory = config.authority_directory();
  settings.urls = mesh.urls;
  settings.hosts = mesh.hosts;
  settings.anonymous = mesh.anonymous;
  settings.prefix_length = mesh.prefix_length;
  settings.shortest_prefix = mesh.shortest_prefix;
  settings.certificate_lifetime = mesh.certificate_lifetime;
  settings.prefix_grace = mesh.prefix_grace;
  settings.token_lifetime = mesh.token_lifetime;
  settings.parameters.hello_interval = mesh.hello_interval;
  settings.parameters.client_count = mesh.client_count;
  settings.parameters.tunnel_refresh = mesh.tunnel_refresh;
  return settings;
}

MeshApiSettings api_settings(const Config& config) {
  return {config.requests_per_second, config.mesh.joins_per_hour, config.mesh.mail.is_on(), 4096};
}

}  // namespace sixlink::registry
