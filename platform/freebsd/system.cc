// SPDX-License-Identifier: BSD-3-Clause
// FreeBSD's routing messages (route(4)) and clocks (clock_gettime(2)).
#include "platform/bsd/system.h"

#include <sys/types.h>
// The rest needs sys/types.h before it.
#include <net/if.h>
#include <net/route.h>
#include <sys/socket.h>

#include <cstddef>

namespace sixlink::platform::bsd {

const posix::RouteLayout kRouteLayout{
    .version = RTM_VERSION,
    .always = posix::type_bit(RTM_NEWADDR) | posix::type_bit(RTM_DELADDR) | posix::type_bit(RTM_IFINFO) |
              posix::type_bit(RTM_IFANNOUNCE),
    .addresses = offsetof(rt_msghdr, rtm_addrs),
    .header = sizeof(rt_msghdr),
    .alignment = sizeof(long),
    .family_v4 = AF_INET,
    .family_v6 = AF_INET6,
};

// Stops while suspended.
const clockid_t kAwakeClock = CLOCK_UPTIME;

}  // namespace sixlink::platform::bsd
