// SPDX-License-Identifier: BSD-3-Clause
// What FreeBSD has of its own for processes: procctl(2), sysctl(3).
#include <sys/types.h>
// The rest needs sys/types.h before it.
#include <signal.h>
#include <sys/procctl.h>
#include <sys/sysctl.h>

#include <array>

#include "platform/platform.h"

namespace sixlink::platform {

void end_with_parent() {
  int signal = SIGKILL;
  ::procctl(P_PID, 0, PROC_PDEATHSIG_CTL, &signal);
}

std::string program_directory() {
  int query[] = {CTL_KERN, KERN_PROC, KERN_PROC_PATHNAME, -1};
  std::array<char, 4096> path{};
  std::size_t size = path.size() - 1;
  if (::sysctl(query, std::size(query), path.data(), &size, nullptr, 0) != 0) return {};
  const std::string text(path.data());
  return text.substr(0, text.rfind('/'));
}

}  // namespace sixlink::platform
