// SPDX-License-Identifier: BSD-3-Clause
// Names of this system's; for directories see hier(7).
#include "platform/system_defaults.h"

namespace sixlink::platform {

const char kTemplateName[] = "netbsd";
const char kRunDirectory[] = "/var/run/sixlink";

}  // namespace sixlink::platform
