// SPDX-License-Identifier: BSD-3-Clause
// What Linux has of its own for processes: prctl(2), /proc, getrandom(2).
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>

#include "platform/platform.h"

namespace sixlink::platform {

void end_with_parent() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void random_bytes(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const auto size = ::getrandom(out.data(), out.size(), 0);
    if (size > 0) out = out.subspan(static_cast<std::size_t>(size));
  }
}

std::string program_directory() {
  std::array<char, 4096> path{};
  const auto size = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (size <= 0) return {};
  const std::string text(path.data(), static_cast<std::size_t>(size));
  return text.substr(0, text.rfind('/'));
}

}  // namespace sixlink::platform
