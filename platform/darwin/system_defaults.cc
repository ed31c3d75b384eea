// SPDX-License-Identifier: BSD-3-Clause
// Names of this system's; for directories see hier(7).
#include "platform/system_defaults.h"

#include "platform/posix/unit_name.h"

namespace sixlink::platform {

const char kTemplateName[] = "darwin";
const char kRunDirectory[] = "/var/run/sixlink";
// gif0 is the system's.
const char kTunnelV6V4[] = "gif1";
const char kTunnelV4V6[] = "gif1";

bool can_be_tun(std::string_view name) {
  return name == "tun" || name == "utun" || posix::unit_of(name, "utun");
}

}  // namespace sixlink::platform
