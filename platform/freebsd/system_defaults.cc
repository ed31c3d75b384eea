// SPDX-License-Identifier: BSD-3-Clause
// Names of this system's; for directories see hier(7).
#include "platform/system_defaults.h"

#include "platform/posix/unit_name.h"

namespace sixlink::platform {

const char kTemplateName[] = "freebsd";
const char kRunDirectory[] = "/var/run/sixlink";
const char kTunnelV6V4[] = "gif0";
const char kTunnelV4V6[] = "gif0";

// Interfaces can be renamed, but another driver's names are better left to it.
bool can_be_tun(std::string_view name) {
  return !posix::unit_of(name, "gif");
}

}  // namespace sixlink::platform
