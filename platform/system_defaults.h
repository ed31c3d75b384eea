// SPDX-License-Identifier: BSD-3-Clause
// Defaults of the configuration that differ between systems: platform/<os>/system_defaults.cc.
#pragma once

#include <string_view>

namespace sixlink::platform {

// The template that is this system's own.
extern const char kTemplateName[];
// Where daemons keep what does not outlive a boot, and our directory in it.
extern const char kRunDirectory[];
// What the system's own tunnel interfaces are called (if_tunnel_v6v4, if_tunnel_v4v6).
extern const char kTunnelV6V4[];
extern const char kTunnelV4V6[];
// May a TUN interface be called so? open_tun() takes the first free one for "tun" on every system.
bool can_be_tun(std::string_view name);

}  // namespace sixlink::platform
