// SPDX-License-Identifier: BSD-3-Clause
// NetBSD's routing messages (route(4)) and clocks (clock_gettime(2)).
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
              posix::type_bit(RTM_IFANNOUNCE) | posix::type_bit(RTM_CHGADDR),
    .addresses = offsetof(rt_msghdr, rtm_addrs),
    .header = sizeof(rt_msghdr),
    .alignment = sizeof(std::uint64_t),
    .family_v4 = AF_INET,
    .family_v6 = AF_INET6,
};

// Counts timer interrupts, of which a suspended machine has none.
const clockid_t kAwakeClock = CLOCK_MONOTONIC;

}  // namespace sixlink::platform::bsd
