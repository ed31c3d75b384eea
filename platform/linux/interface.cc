// SPDX-License-Identifier: BSD-3-Clause
// An interface's counters, from /proc/self/net/dev: unlike /sys it shows the process's own network namespace,
// and unlike getifaddrs 64 bits.
#include <cerrno>
#include <fstream>
#include <sstream>

#include "platform/platform.h"

namespace sixlink::platform {

boost::system::result<InterfaceCounters> interface_counters(const std::string& name) {
  std::ifstream file("/proc/self/net/dev");
  if (!file) return boost::system::error_code(ENOENT, boost::system::system_category());
  std::string line;
  while (std::getline(file, line)) {
    const auto colon = line.rfind(':');  // the name may have one too, the numbers have none
    const auto start = line.find_first_not_of(' ');
    if (colon == std::string::npos || line.substr(start, colon - start) != name) continue;
    // Received: bytes, packets, errors, drops, fifo, frame, compressed, multicast; then the same of sent
    // ones.
    std::istringstream numbers(line.substr(colon + 1));
    InterfaceCounters counters;
    std::uint64_t skipped = 0;
    numbers >> counters.bytes_in >> counters.packets_in;
    for (int i = 0; i < 6; ++i) numbers >> skipped;
    numbers >> counters.bytes_out >> counters.packets_out;
    if (numbers) return counters;
  }
  return boost::system::error_code(ENODEV, boost::system::system_category());
}

}  // namespace sixlink::platform
