// SPDX-License-Identifier: BSD-3-Clause
// What SunOS (illumos, Solaris 11.3 and later) has of its own for processes: getexecname(3C), getrandom(2).
#include <limits.h>
#include <stdlib.h>
#include <sys/random.h>

#include <array>

#include "platform/platform.h"

namespace sixlink::platform {

// SunOS has no signal for a parent's death; a template ends by itself.
void end_with_parent() {}

void random_bytes(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    // More than 256 bytes a call may come in part.
    const auto size = ::getrandom(out.data(), out.size() < 256 ? out.size() : 256, 0);
    if (size > 0) out = out.subspan(static_cast<std::size_t>(size));
  }
}

std::string program_directory() {
  // Relative to where the program was started, if at all; asked for at the first need, before it moved.
  const char* called = ::getexecname();
  std::array<char, PATH_MAX> path{};
  if (!called || !::realpath(called, path.data())) return {};
  const std::string text(path.data());
  return text.substr(0, text.rfind('/'));
}

}  // namespace sixlink::platform
