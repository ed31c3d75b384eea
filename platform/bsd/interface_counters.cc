// SPDX-License-Identifier: BSD-3-Clause
// An interface's counters, by getifaddrs(3): AF_LINK entries carry a struct if_data.
#include <sys/types.h>
// The rest needs sys/types.h on OpenBSD.
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "platform/platform.h"

namespace sixlink::platform {

boost::system::result<InterfaceCounters> interface_counters(const std::string& name) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return boost::system::error_code(errno, boost::system::system_category());
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  for (const auto* entry = list; entry; entry = entry->ifa_next) {
    if (name != entry->ifa_name || !entry->ifa_addr || entry->ifa_addr->sa_family != AF_LINK ||
        !entry->ifa_data) {
      continue;
    }
    if_data data{};
    std::memcpy(&data, entry->ifa_data, sizeof data);
    return InterfaceCounters{data.ifi_ipackets, data.ifi_opackets, data.ifi_ibytes, data.ifi_obytes};
  }
  return boost::system::error_code(ENODEV, boost::system::system_category());
}

}  // namespace sixlink::platform
