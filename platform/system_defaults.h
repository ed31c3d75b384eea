// SPDX-License-Identifier: BSD-3-Clause
// Defaults of the configuration that differ between systems: platform/<os>/system_defaults.cc.
#pragma once

namespace sixlink::platform {

// The template that is this system's own.
extern const char kTemplateName[];
// Where daemons keep what does not outlive a boot, and our directory in it.
extern const char kRunDirectory[];

}  // namespace sixlink::platform
