// SPDX-License-Identifier: BSD-3-Clause
// Changes of the network by rtnetlink(7), and of the clock by a timerfd that the kernel cancels when the wall
// clock jumps; that includes resuming from suspend.
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>

#include "platform/platform.h"

namespace sixlink::platform {
namespace {

boost::system::error_code last_error() {
  return {errno, boost::system::system_category()};
}

// Never expires; a read tells only of its cancellation.
bool arm(int timer) {
  itimerspec far_away{};
  far_away.it_value.tv_sec = std::numeric_limits<std::int32_t>::max();
  return ::timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far_away, nullptr) == 0;
}

}  // namespace

struct ChangeMonitor::Descriptors {
  int netlink = -1;
  int timer = -1;
  int both = -1;  // an epoll instance of the two
  Descriptors() = default;
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;
  ~Descriptors() {
    for (const int fd : {both, timer, netlink}) {
      if (fd >= 0) ::close(fd);
    }
  }
};

boost::system::result<ChangeMonitor> ChangeMonitor::open() {
  auto descriptors = std::make_unique<Descriptors>();
  descriptors->netlink = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (descriptors->netlink < 0 ||
      ::bind(descriptors->netlink, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return last_error();
  }
  descriptors->timer = ::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (descriptors->timer < 0 || !arm(descriptors->timer)) return last_error();
  descriptors->both = ::epoll_create1(EPOLL_CLOEXEC);
  if (descriptors->both < 0) return last_error();
  for (const int fd : {descriptors->netlink, descriptors->timer}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(descriptors->both, EPOLL_CTL_ADD, fd, &event) != 0) return last_error();
  }
  return ChangeMonitor(std::move(descriptors));
}

ChangeMonitor::ChangeMonitor(std::unique_ptr<Descriptors> descriptors)
    : descriptors_(std::move(descriptors)) {}
ChangeMonitor::ChangeMonitor(ChangeMonitor&& other) noexcept = default;
ChangeMonitor::~ChangeMonitor() = default;

int ChangeMonitor::fd() const {
  return descriptors_->both;
}

ChangeMonitor::Changes ChangeMonitor::drain() {
  Changes changes;
  std::uint64_t expirations = 0;
  if (::read(descriptors_->timer, &expirations, sizeof expirations) < 0 && errno == ECANCELED) {
    changes.clock = true;
    arm(descriptors_->timer);
  }
  // What exactly changed does not matter: whoever is woken looks for itself. A lost message (ENOBUFS) is a
  // change too.
  std::array<char, 8192> buffer;
  for (;;) {
    const auto size = ::recv(descriptors_->netlink, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0 || (size < 0 && errno == ENOBUFS)) {
      changes.network = true;
    } else if (size == 0 || errno != EINTR) {
      return changes;
    }
  }
}

}  // namespace sixlink::platform
