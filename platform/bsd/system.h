// SPDX-License-Identifier: BSD-3-Clause
// What the shared change monitor needs to know of a system: platform/<os>/system.cc has it.
#pragma once

#include <time.h>

#include "platform/posix/route_message.h"

namespace sixlink::platform::bsd {

extern const posix::RouteLayout kRouteLayout;

// A clock that nobody sets, and that stands still while the machine is suspended, so that the wall clock runs
// away from it then.
extern const clockid_t kAwakeClock;

}  // namespace sixlink::platform::bsd
