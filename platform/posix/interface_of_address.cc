// SPDX-License-Identifier: BSD-3-Clause
// The interface that has an address, by getifaddrs(3).
#include <sys/types.h>
// The rest needs sys/types.h before it on OpenBSD.
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "platform/platform.h"

namespace sixlink::platform {
namespace {

bool is_address(const sockaddr* address, const boost::asio::ip::address& wanted) {
  if (!address) return false;
  if (wanted.is_v4() && address->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof v4);
    return ntohl(v4.sin_addr.s_addr) == wanted.to_v4().to_uint();
  }
  if (wanted.is_v6() && address->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address, sizeof v6);
    const auto bytes = wanted.to_v6().to_bytes();
    return std::memcmp(&v6.sin6_addr, bytes.data(), bytes.size()) == 0;
  }
  return false;
}

}  // namespace

std::optional<int> mtu_of_address(const boost::asio::ip::address& address) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  for (const auto* entry = list; entry; entry = entry->ifa_next) {
    if (!is_address(entry->ifa_addr, address)) continue;
    const auto mtu = interface_mtu(entry->ifa_name);
    return mtu ? std::optional(*mtu) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace sixlink::platform
