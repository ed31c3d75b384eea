// SPDX-License-Identifier: BSD-3-Clause
// Names of this system's; for directories see the Filesystem Hierarchy Standard.
#include "platform/system_defaults.h"

namespace sixlink::platform {

const char kTemplateName[] = "linux";
const char kRunDirectory[] = "/run/sixlink";
// As gogoc has them. sit0 is Linux's own: the client takes another in its place.
const char kTunnelV6V4[] = "sit1";
const char kTunnelV4V6[] = "sit0";

bool can_be_tun(std::string_view) {
  return true;
}

}  // namespace sixlink::platform
