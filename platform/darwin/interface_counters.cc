// SPDX-License-Identifier: BSD-3-Clause
// An interface's counters, by the interface MIB (net.link.generic.ifdata): what getifaddrs(3) gives wraps
// after 4 GB.
#include <net/if.h>
#include <net/if_mib.h>
#include <sys/socket.h>
#include <sys/sysctl.h>

#include <cerrno>

#include "platform/platform.h"

namespace sixlink::platform {

boost::system::result<InterfaceCounters> interface_counters(const std::string& name) {
  const auto error = [](int number) {
    return boost::system::error_code(number, boost::system::system_category());
  };
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return error(ENODEV);
  int query[] = {CTL_NET, PF_LINK, NETLINK_GENERIC, IFMIB_IFDATA, static_cast<int>(index), IFDATA_GENERAL};
  ifmibdata found{};
  std::size_t size = sizeof found;
  if (::sysctl(query, std::size(query), &found, &size, nullptr, 0) != 0)
    return error(errno == ENOENT ? ENODEV : errno);
  const auto& data = found.ifmd_data;
  return InterfaceCounters{data.ifi_ipackets, data.ifi_opackets, data.ifi_ibytes, data.ifi_obytes};
}

}  // namespace sixlink::platform
