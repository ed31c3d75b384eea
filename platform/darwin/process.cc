// SPDX-License-Identifier: BSD-3-Clause
// What Darwin has of its own for processes: dyld(3).
#include <limits.h>
#include <mach-o/dyld.h>
#include <stdlib.h>

#include <array>

#include "platform/platform.h"

namespace sixlink::platform {

// Darwin has no signal for a parent's death; a template ends by itself.
void end_with_parent() {}

std::string program_directory() {
  std::array<char, PATH_MAX> called{};
  std::array<char, PATH_MAX> path{};
  auto size = static_cast<std::uint32_t>(called.size());
  if (::_NSGetExecutablePath(called.data(), &size) != 0 || !::realpath(called.data(), path.data())) return {};
  const std::string text(path.data());
  return text.substr(0, text.rfind('/'));
}

}  // namespace sixlink::platform
