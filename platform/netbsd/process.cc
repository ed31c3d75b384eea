// SPDX-License-Identifier: BSD-3-Clause
// What NetBSD has of its own for processes: sysctl(3).
#include <sys/types.h>
// The rest needs sys/types.h before it.
#include <sys/param.h>
#include <sys/sysctl.h>

#include <array>

#include "platform/platform.h"

namespace sixlink::platform {

// NetBSD has no signal for a parent's death; a template ends by itself.
void end_with_parent() {}

std::string program_directory() {
  int query[] = {CTL_KERN, KERN_PROC_ARGS, -1, KERN_PROC_PATHNAME};
  std::array<char, 4096> path{};
  std::size_t size = path.size() - 1;
  if (::sysctl(query, std::size(query), path.data(), &size, nullptr, 0) != 0) return {};
  const std::string text(path.data());
  return text.substr(0, text.rfind('/'));
}

}  // namespace sixlink::platform
