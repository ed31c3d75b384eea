// SPDX-License-Identifier: BSD-3-Clause
// Changes of the network by a routing socket (route(4P)). Nothing that can be waited for tells of a step of
// the clock: it is noticed when the network says something, as it does after a resume.
#include <net/if.h>
#include <net/route.h>
#include <sys/socket.h>
#include <time.h>

#include <array>
#include <cstddef>

#include "platform/platform.h"
#include "platform/posix/clock_watch.h"
#include "platform/posix/descriptor.h"
#include "platform/posix/route_message.h"

namespace sixlink::platform {
namespace {

using posix::last_error;
using posix::type_bit;

constexpr posix::RouteLayout kRouteLayout{
    .version = RTM_VERSION,
    .always = type_bit(RTM_NEWADDR) | type_bit(RTM_DELADDR) | type_bit(RTM_IFINFO) | type_bit(RTM_CHGADDR) |
              type_bit(RTM_FREEADDR),
    .addresses = offsetof(rt_msghdr, rtm_addrs),
    .header = sizeof(rt_msghdr),
    .alignment = 1,
    .has_length = false,
    .family_v4 = AF_INET,
    .family_v6 = AF_INET6,
};

std::chrono::nanoseconds now(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

struct ChangeMonitor::Descriptors {
  posix::Descriptor routes;
  posix::ClockWatch clock{now(CLOCK_REALTIME), now(CLOCK_HIGHRES)};
};

boost::system::result<ChangeMonitor> ChangeMonitor::open() {
  auto descriptors = std::make_unique<Descriptors>();
  descriptors->routes.reset(::socket(PF_ROUTE, SOCK_RAW, AF_UNSPEC));
  if (!descriptors->routes || !posix::make_private(descriptors->routes)) return last_error();
  return ChangeMonitor(std::move(descriptors));
}

ChangeMonitor::ChangeMonitor(std::unique_ptr<Descriptors> descriptors)
    : descriptors_(std::move(descriptors)) {}
ChangeMonitor::ChangeMonitor(ChangeMonitor&& other) noexcept = default;
ChangeMonitor::~ChangeMonitor() = default;

int ChangeMonitor::fd() const {
  return descriptors_->routes.get();
}

ChangeMonitor::Changes ChangeMonitor::drain() {
  Changes changes;
  changes.clock = descriptors_->clock.has_jumped(now(CLOCK_REALTIME), now(CLOCK_HIGHRES));
  std::array<std::uint8_t, 2048> buffer;  // one message a read
  for (;;) {
    const auto size = ::recv(descriptors_->routes.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0) {
      const auto message = std::span(buffer).first(static_cast<std::size_t>(size));
      if (posix::is_change(message, kRouteLayout)) changes.network = true;
    } else if (size == 0 || errno != EINTR) {
      return changes;
    }
  }
}

}  // namespace sixlink::platform
