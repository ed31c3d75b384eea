// SPDX-License-Identifier: BSD-3-Clause
// Names of this system's; for directories see the Filesystem Hierarchy Standard.
#include "platform/system_defaults.h"

namespace sixlink::platform {

const char kTemplateName[] = "linux";
const char kRunDirectory[] = "/run/sixlink";

}  // namespace sixlink::platform
