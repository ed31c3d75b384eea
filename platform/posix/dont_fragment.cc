// SPDX-License-Identifier: BSD-3-Clause
// The option is on for the one datagram only: the tunnel's own may be fragmented rather than lost.
#include "platform/posix/dont_fragment.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

namespace sixlink::platform::posix {
namespace {

boost::system::error_code to_error(int number) {
  return {number, boost::system::system_category()};
}

}  // namespace

boost::system::error_code send_with_dont_fragment(int fd, std::span<const std::uint8_t> datagram,
                                                  std::optional<int> v4_option) {
  sockaddr_storage local{};
  socklen_t size = sizeof local;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) return to_error(errno);
  const bool is_v6 = local.ss_family == AF_INET6;
  if (!is_v6 && !v4_option) return to_error(ENOTSUP);
  const int level = is_v6 ? static_cast<int>(IPPROTO_IPV6) : static_cast<int>(IPPROTO_IP);
  const int option = is_v6 ? IPV6_DONTFRAG : *v4_option;
  int value = 1;
  if (::setsockopt(fd, level, option, &value, sizeof value) != 0) return to_error(errno);
  const auto error = send_one(fd, datagram);
  value = 0;
  ::setsockopt(fd, level, option, &value, sizeof value);
  return error;
}

}  // namespace sixlink::platform::posix
