// SPDX-License-Identifier: BSD-3-Clause
// The default route, from /proc/self/net/route, which shows the process's own network namespace.
#include <arpa/inet.h>
#include <net/route.h>

#include <cstdint>
#include <fstream>
#include <limits>
#include <sstream>

#include "platform/network.h"

namespace sixlink::platform {

std::optional<DefaultGateway> default_gateway() {
  std::ifstream file("/proc/self/net/route");
  std::optional<DefaultGateway> best;
  auto best_metric = std::numeric_limits<std::uint32_t>::max();
  std::string line;
  std::getline(file, line);  // the titles
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string interface;
    std::uint32_t destination = 0;
    std::uint32_t gateway = 0;
    std::uint32_t flags = 0;
    std::uint32_t metric = 0;
    std::uint32_t mask = 0;
    std::uint32_t skipped = 0;
    // Addresses as the processor has them in memory.
    fields >> interface >> std::hex >> destination >> gateway >> flags >> std::dec >> skipped >> skipped >>
        metric >> std::hex >> mask;
    constexpr std::uint32_t kNeeded = RTF_UP | RTF_GATEWAY;
    if (!fields || destination != 0 || mask != 0 || gateway == 0 || (flags & kNeeded) != kNeeded) continue;
    if (best && metric >= best_metric) continue;
    best = DefaultGateway{boost::asio::ip::address_v4(ntohl(gateway)), interface};
    best_metric = metric;
  }
  return best;
}

}  // namespace sixlink::platform
