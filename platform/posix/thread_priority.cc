// SPDX-License-Identifier: BSD-3-Clause
// Elsewhere a nice value is the whole process's, templates included: it is left as it is.
#include "platform/platform.h"

namespace sixlink::platform {

void hurry_thread() {}

}  // namespace sixlink::platform
