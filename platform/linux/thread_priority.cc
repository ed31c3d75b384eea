// SPDX-License-Identifier: BSD-3-Clause
// Linux has a nice value for each thread: setpriority(2).
#include <sys/resource.h>

#include "platform/platform.h"

namespace sixlink::platform {

void hurry_thread() {
  constexpr int kNice = -10;
  ::setpriority(PRIO_PROCESS, 0, kNice);
}

}  // namespace sixlink::platform
