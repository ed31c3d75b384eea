// SPDX-License-Identifier: BSD-3-Clause
// The addresses of interfaces, by getifaddrs(3).
#include <sys/types.h>
// The rest needs sys/types.h before it on OpenBSD.
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <set>

#include "platform/network.h"
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

std::optional<boost::asio::ip::address> to_address(const sockaddr* address) {
  if (!address || (address->sa_family != AF_INET && address->sa_family != AF_INET6)) return std::nullopt;
  boost::asio::ip::udp::endpoint endpoint;
  const auto size = address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  std::memcpy(endpoint.data(), address, size);
  endpoint.resize(size);
  return endpoint.address();
}

}  // namespace

std::vector<InterfaceAddress> interface_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::vector<InterfaceAddress> result;
  for (const auto* entry = list; entry; entry = entry->ifa_next) {
    const auto address = to_address(entry->ifa_addr);
    if (!address) continue;
    const auto flags = entry->ifa_flags;
    result.push_back({entry->ifa_name, *address, (flags & IFF_UP) != 0 && (flags & IFF_RUNNING) != 0,
                      (flags & IFF_LOOPBACK) != 0, (flags & IFF_POINTOPOINT) != 0});
  }
  return result;
}

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

std::optional<boost::asio::ip::address> source_towards(const boost::asio::ip::address& destination) {
  // Connecting a datagram socket sends nothing: the kernel looks its route up.
  boost::asio::ip::udp::endpoint endpoint(destination, 9);
  const int fd = ::socket(destination.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
  if (fd < 0) return std::nullopt;
  auto size = static_cast<socklen_t>(endpoint.size());
  std::optional<boost::asio::ip::address> source;
  if (::connect(fd, endpoint.data(), size) == 0) {
    boost::asio::ip::udp::endpoint local;
    size = static_cast<socklen_t>(local.capacity());
    if (::getsockname(fd, local.data(), &size) == 0) {
      local.resize(size);
      source = local.address();
    }
  }
  ::close(fd);
  return source;
}

std::string network_state(const std::string& ignored) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::set<std::string> lines;
  for (const auto* entry = list; entry; entry = entry->ifa_next) {
    if ((entry->ifa_flags & IFF_LOOPBACK) != 0 || ignored == entry->ifa_name) continue;
    const auto address = to_address(entry->ifa_addr);
    if (!address || (address->is_v6() && address->to_v6().is_link_local())) continue;
    const bool is_up = (entry->ifa_flags & IFF_UP) != 0 && (entry->ifa_flags & IFF_RUNNING) != 0;
    lines.insert(std::string(entry->ifa_name) + (is_up ? " up " : " down ") + address->to_string());
  }
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

}  // namespace sixlink::platform
