// SPDX-License-Identifier: BSD-3-Clause
// Changes of the network by a routing socket (route(4)). Nothing wakes a process when the wall clock is set
// or the machine resumes, so a timer looks every few seconds. A kqueue(2) holds both, and is a descriptor to
// wait on itself.
#include <net/route.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>

#include <array>
#include <optional>

#include "platform/bsd/system.h"
#include "platform/platform.h"
#include "platform/posix/clock_watch.h"
#include "platform/posix/descriptor.h"

namespace sixlink::platform {
namespace {

using posix::Descriptor;
using posix::last_error;

// Resuming is noticed within this.
constexpr int kLookMilliseconds = 2000;

std::chrono::nanoseconds now(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

struct ChangeMonitor::Descriptors {
  Descriptor routes;
  Descriptor queue;
  posix::ClockWatch clock{now(CLOCK_REALTIME), now(bsd::kAwakeClock)};
};

boost::system::result<ChangeMonitor> ChangeMonitor::open() {
  auto descriptors = std::make_unique<Descriptors>();
  descriptors->routes.reset(::socket(PF_ROUTE, SOCK_RAW, AF_UNSPEC));
  if (!descriptors->routes || !posix::make_private(descriptors->routes)) return last_error();
#ifdef SO_RERROR
  // FreeBSD and NetBSD tell of lost messages (ENOBUFS) only when asked to; OpenBSD sends RTM_DESYNC.
  const int on = 1;
  ::setsockopt(descriptors->routes.get(), SOL_SOCKET, SO_RERROR, &on, sizeof on);
#endif
  descriptors->queue.reset(::kqueue());
  if (!descriptors->queue || ::fcntl(descriptors->queue.get(), F_SETFD, FD_CLOEXEC) != 0) return last_error();
  struct kevent events[2];
  EV_SET(&events[0], static_cast<uintptr_t>(descriptors->routes.get()), EVFILT_READ, EV_ADD, 0, 0, 0);
  EV_SET(&events[1], 1, EVFILT_TIMER, EV_ADD, 0, kLookMilliseconds, 0);
  if (::kevent(descriptors->queue.get(), events, 2, nullptr, 0, nullptr) != 0) return last_error();
  return ChangeMonitor(std::move(descriptors));
}

ChangeMonitor::ChangeMonitor(std::unique_ptr<Descriptors> descriptors)
    : descriptors_(std::move(descriptors)) {}
ChangeMonitor::ChangeMonitor(ChangeMonitor&& other) noexcept = default;
ChangeMonitor::~ChangeMonitor() = default;

int ChangeMonitor::fd() const {
  return descriptors_->queue.get();
}

ChangeMonitor::Changes ChangeMonitor::drain() {
  Changes changes;
  changes.clock = descriptors_->clock.has_jumped(now(CLOCK_REALTIME), now(bsd::kAwakeClock));
  // Takes the events off the queue; the socket's comes back while it has messages.
  struct kevent events[2];
  const timespec at_once{};
  ::kevent(descriptors_->queue.get(), nullptr, 0, events, 2, &at_once);
  std::array<std::uint8_t, 2048> buffer;  // one message a read; the longest is RTM_IFINFO
  for (;;) {
    const auto size = ::recv(descriptors_->routes.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0) {
      const auto message = std::span(buffer).first(static_cast<std::size_t>(size));
      if (posix::is_change(message, bsd::kRouteLayout)) changes.network = true;
    } else if (size < 0 && errno == ENOBUFS) {
      changes.network = true;
    } else if (size == 0 || errno != EINTR) {
      return changes;
    }
  }
}

}  // namespace sixlink::platform
