// SPDX-License-Identifier: BSD-3-Clause
// What OpenBSD has of its own for processes: sysctl(2).
#include <sys/types.h>
// The rest needs sys/types.h before it.
#include <limits.h>
#include <stdlib.h>
#include <sys/sysctl.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "platform/platform.h"

namespace sixlink::platform {
namespace {

// The kernel does not keep a program's path: only how it was called.
std::string called_as() {
  int query[] = {CTL_KERN, KERN_PROC_ARGS, ::getpid(), KERN_PROC_ARGV};
  // The argument vector, and behind it the strings that it points to.
  std::array<char*, 8192> arguments{};
  std::size_t size = sizeof arguments;
  if (::sysctl(query, std::size(query), arguments.data(), &size, nullptr, 0) != 0 || !arguments[0]) return {};
  return arguments[0];
}

std::string real_directory(const std::string& program) {
  std::array<char, PATH_MAX> path{};
  if (::access(program.c_str(), X_OK) != 0 || !::realpath(program.c_str(), path.data())) return {};
  const std::string text(path.data());
  return text.substr(0, text.rfind('/'));
}

}  // namespace

// OpenBSD has no signal for a parent's death; a template ends by itself.
void end_with_parent() {}

std::string program_directory() {
  const auto program = called_as();
  if (program.empty()) return {};
  if (program.find('/') != std::string::npos) return real_directory(program);
  const char* search = ::getenv("PATH");
  std::string rest = search ? search : "/usr/local/sbin:/usr/sbin:/sbin";
  while (!rest.empty()) {
    const auto end = rest.find(':');
    const auto directory = rest.substr(0, end);
    rest = end == std::string::npos ? "" : rest.substr(end + 1);
    // A relative entry means another place by now.
    if (!directory.starts_with('/')) continue;
    if (auto found = real_directory(directory + "/" + program); !found.empty()) return found;
  }
  return {};
}

}  // namespace sixlink::platform
