// SPDX-License-Identifier: BSD-3-Clause
// An interface's counters, by getifaddrs: AF_PACKET entries carry them.
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "platform/platform.h"

namespace sixlink::platform {
namespace {

// /sys shows the namespace it was mounted in, which need not be ours.
std::optional<rtnl_link_stats> statistics(const ifaddrs* list, const std::string& name) {
  for (const auto* entry = list; entry; entry = entry->ifa_next) {
    if (name != entry->ifa_name || !entry->ifa_addr || entry->ifa_addr->sa_family != AF_PACKET ||
        !entry->ifa_data) {
      continue;
    }
    rtnl_link_stats result{};
    std::memcpy(&result, entry->ifa_data, sizeof result);
    return result;
  }
  return std::nullopt;
}

}  // namespace

boost::system::result<InterfaceCounters> interface_counters(const std::string& name) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return boost::system::error_code(errno, boost::system::system_category());
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  const auto found = statistics(list, name);
  if (!found) return boost::system::error_code(ENODEV, boost::system::system_category());
  return InterfaceCounters{found->rx_packets, found->tx_packets, found->rx_bytes, found->tx_bytes};
}

}  // namespace sixlink::platform
