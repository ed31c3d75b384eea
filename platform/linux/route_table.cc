// SPDX-License-Identifier: BSD-3-Clause
// Routes over netlink: rtnetlink(7). The kernel answers before send() returns, so that nothing here waits.
#include "platform/route_table.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace sixlink::platform {
namespace {

using boost::asio::ip::address;

constexpr std::size_t kLongestAddress = 16;
constexpr std::size_t kLongestVia = 2 + kLongestAddress;
// Of routes that are kept: unassigned in rt_protos, and not what any routing program takes for its own. Only
// what refuses the rest of a network is behind them (platform/linux/overlay.cc).
constexpr std::uint8_t kKeptProtocol = 73;
constexpr std::uint32_t kKeptMetric = 0x7ffffffe;

boost::system::error_code system_error(int number) {
  return {number, boost::system::system_category()};
}

template <typename Header>
const Header* body_of(const nlmsghdr* message) {
  return reinterpret_cast<const Header*>(reinterpret_cast<const std::uint8_t*>(message) + NLMSG_HDRLEN);
}

// A request: the headers, then attributes.
class Request {
 public:
  Request(std::uint16_t type, std::uint16_t flags, int family) {
    header()->nlmsg_len = NLMSG_LENGTH(sizeof(rtmsg));
    header()->nlmsg_type = type;
    header()->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    route()->rtm_family = static_cast<std::uint8_t>(family);
  }
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_.data()); }
  rtmsg* route() { return reinterpret_cast<rtmsg*>(bytes_.data() + NLMSG_HDRLEN); }
  void add(std::uint16_t type, std::span<const std::uint8_t> value) {
    auto* attribute = reinterpret_cast<rtattr*>(bytes_.data() + NLMSG_ALIGN(header()->nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = static_cast<std::uint16_t>(RTA_LENGTH(value.size()));
    std::memcpy(RTA_DATA(attribute), value.data(), value.size());
    header()->nlmsg_len = NLMSG_ALIGN(header()->nlmsg_len) + RTA_ALIGN(attribute->rta_len);
  }
  void add(std::uint16_t type, std::uint32_t value) {
    std::array<std::uint8_t, sizeof value> bytes;
    std::memcpy(bytes.data(), &value, sizeof value);
    add(type, bytes);
  }

 private:
  alignas(nlmsghdr) std::array<std::uint8_t, 256> bytes_{};
};

class Netlink {
 public:
  Netlink() : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {
    if (fd_ < 0) {
      error_ = errno;
      return;
    }
    // The kernel selects by table and protocol; one before 4.20 does not know this, and we select too.
    const int on = 1;
    ::setsockopt(fd_, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  }
  ~Netlink() {
    if (fd_ >= 0) ::close(fd_);
  }
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  // Sends and has `take` look at each message of the answer. The answer's error, or none.
  template <typename Take>
  boost::system::error_code ask(Request& request, Take take) {
    if (fd_ < 0) return system_error(error_);
    request.header()->nlmsg_seq = ++sequence_;
    if (::send(fd_, request.header(), request.header()->nlmsg_len, 0) < 0) return system_error(errno);
    // On the heap: a static one would cost each thread of the datapath as much. new aligns it.
    std::vector<std::uint8_t> answer(65536);
    for (;;) {
      auto size = ::recv(fd_, answer.data(), answer.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return system_error(errno);
      auto rest = static_cast<unsigned>(size);
      for (auto* message = reinterpret_cast<nlmsghdr*>(answer.data()); NLMSG_OK(message, rest);
           message = NLMSG_NEXT(message, rest)) {
        if (message->nlmsg_seq != sequence_) continue;
        if (message->nlmsg_type == NLMSG_DONE) return {};
        if (message->nlmsg_type == NLMSG_ERROR) {
          const int error = body_of<nlmsgerr>(message)->error;
          return error == 0 ? boost::system::error_code() : system_error(-error);
        }
        take(*message);
      }
    }
  }
  boost::system::error_code ask(Request& request) {
    return ask(request, [](const nlmsghdr&) {});
  }

 private:
  int fd_;
  int error_ = 0;
  std::uint32_t sequence_ = 0;
};

void add_address(Request& request, const address& destination) {
  if (destination.is_v4())
    request.add(RTA_DST, destination.to_v4().to_bytes());
  else
    request.add(RTA_DST, destination.to_v6().to_bytes());
}

Request unreachable_request(std::uint16_t type, std::uint16_t flags, unsigned table,
                            const address& destination, int prefix_length) {
  Request request(type, static_cast<std::uint16_t>(flags | NLM_F_ACK),
                  destination.is_v4() ? AF_INET : AF_INET6);
  auto& route = *request.route();
  route.rtm_dst_len = static_cast<std::uint8_t>(prefix_length);
  route.rtm_table = RT_TABLE_UNSPEC;
  route.rtm_protocol = static_cast<std::uint8_t>(kRouteProtocolStatic);
  route.rtm_scope = type == RTM_NEWROUTE ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE;
  route.rtm_type = RTN_UNREACHABLE;
  if (prefix_length > 0) add_address(request, destination);
  request.add(RTA_TABLE, table);
  // Not what the kernel takes by itself for IPv6: routing programs pass over a default route of the greatest
  // metric, and IPv4's is 0.
  request.add(RTA_PRIORITY, std::uint32_t{1024});
  return request;
}

// What a dumped route says of itself; its message as it is serves to remove it.
struct Found {
  std::uint32_t table = 0;
  std::uint32_t metric = 0;
};
Found look_at(const nlmsghdr& message) {
  const auto* route = body_of<rtmsg>(&message);
  Found found{route->rtm_table, 0};
  auto size = static_cast<unsigned>(RTM_PAYLOAD(&message));
  for (const auto* attribute = RTM_RTA(route); RTA_OK(attribute, size);
       attribute = RTA_NEXT(attribute, size)) {
    if (RTA_PAYLOAD(attribute) != sizeof(std::uint32_t)) continue;
    if (attribute->rta_type == RTA_TABLE) std::memcpy(&found.table, RTA_DATA(attribute), sizeof found.table);
    if (attribute->rta_type == RTA_PRIORITY)
      std::memcpy(&found.metric, RTA_DATA(attribute), sizeof found.metric);
  }
  return found;
}

// Into a request about a dumped route, of its attributes those that `is_wanted` names.
void copy_attributes(const nlmsghdr& message, bool (*is_wanted)(int type), std::size_t longest,
                     Request& request) {
  const auto* dumped = body_of<rtmsg>(&message);
  auto size = static_cast<unsigned>(RTM_PAYLOAD(&message));
  for (const auto* attribute = RTM_RTA(dumped); RTA_OK(attribute, size);
       attribute = RTA_NEXT(attribute, size)) {
    if (!is_wanted(attribute->rta_type) || RTA_PAYLOAD(attribute) > longest) continue;
    request.add(attribute->rta_type,
                std::span(static_cast<const std::uint8_t*>(RTA_DATA(attribute)), RTA_PAYLOAD(attribute)));
  }
}

// What tells a route from others and where it leads.
bool identifies_route(int type) {
  return type == RTA_DST || type == RTA_SRC || type == RTA_TABLE || type == RTA_GATEWAY || type == RTA_OIF;
}

// The request that removes a dumped route.
Request removal_of(const nlmsghdr& message) {
  const auto* dumped = body_of<rtmsg>(&message);
  Request request(RTM_DELROUTE, NLM_F_ACK, dumped->rtm_family);
  *request.route() = *dumped;
  request.route()->rtm_flags = 0;
  copy_attributes(
      message, [](int type) { return identifies_route(type) || type == RTA_PRIORITY; }, kLongestAddress,
      request);
  return request;
}

boost::system::error_code remove_of_family(Netlink& netlink, const RouteSelector& selector, int family,
                                           std::size_t& count) {
  std::vector<Request> removals;
  Request dump(RTM_GETROUTE, NLM_F_DUMP, family);
  dump.route()->rtm_protocol = static_cast<std::uint8_t>(selector.protocol);
  dump.add(RTA_TABLE, std::uint32_t{selector.table});
  const auto error = netlink.ask(dump, [&](const nlmsghdr& message) {
    if (message.nlmsg_type != RTM_NEWROUTE) return;
    const auto* route = body_of<rtmsg>(&message);
    const auto found = look_at(message);
    if (route->rtm_protocol != selector.protocol || (route->rtm_flags & RTM_F_CLONED) != 0 ||
        found.table != selector.table || found.metric < selector.lowest_metric ||
        found.metric > selector.highest_metric)
      return;
    removals.push_back(removal_of(message));
  });
  // A table in which nothing was ever put does not exist.
  if (error && error.value() != ENOENT) return error;
  for (auto& removal : removals) {
    const auto failed = netlink.ask(removal);
    if (!failed) ++count;
    // Gone by itself meanwhile, with its interface.
    else if (failed.value() != ESRCH && failed.value() != ENODEV)
      return failed;
  }
  return {};
}

// The request that adds a dumped route again, behind all others.
Request copy_of(const nlmsghdr& message) {
  const auto* dumped = body_of<rtmsg>(&message);
  Request request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, dumped->rtm_family);
  *request.route() = *dumped;
  request.route()->rtm_flags = dumped->rtm_flags & RTNH_F_ONLINK;
  request.route()->rtm_protocol = kKeptProtocol;
  copy_attributes(
      message, [](int type) { return identifies_route(type) || type == RTA_VIA || type == RTA_PREFSRC; },
      kLongestVia, request);
  request.add(RTA_PRIORITY, kKeptMetric);
  return request;
}

// Whether it leads into that interface alone; its gateway of IPv6 is added to `gateways`.
bool leads_into(const nlmsghdr& message, std::uint32_t interface,
                std::vector<boost::asio::ip::address_v6>& gateways) {
  const auto* route = body_of<rtmsg>(&message);
  bool leads = false;
  std::optional<boost::asio::ip::address_v6> gateway;
  auto size = static_cast<unsigned>(RTM_PAYLOAD(&message));
  for (const auto* attribute = RTM_RTA(route); RTA_OK(attribute, size);
       attribute = RTA_NEXT(attribute, size)) {
    const auto length = RTA_PAYLOAD(attribute);
    if (attribute->rta_type == RTA_OIF && length == sizeof interface) {
      leads = std::memcmp(RTA_DATA(attribute), &interface, sizeof interface) == 0;
    } else if (attribute->rta_type == RTA_GATEWAY && length == kLongestAddress) {
      boost::asio::ip::address_v6::bytes_type bytes;
      std::memcpy(bytes.data(), RTA_DATA(attribute), bytes.size());
      gateway = boost::asio::ip::address_v6(bytes);
    }
  }
  if (leads && gateway && std::find(gateways.begin(), gateways.end(), *gateway) == gateways.end())
    gateways.push_back(*gateway);
  return leads;
}

}  // namespace

boost::system::error_code add_unreachable_route(unsigned table, const address& destination,
                                                int prefix_length) {
  Netlink netlink;
  auto request =
      unreachable_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, table, destination, prefix_length);
  const auto error = netlink.ask(request);
  return error.value() == EEXIST ? boost::system::error_code() : error;
}

boost::system::error_code remove_unreachable_route(unsigned table, const address& destination,
                                                   int prefix_length) {
  Netlink netlink;
  auto request = unreachable_request(RTM_DELROUTE, 0, table, destination, prefix_length);
  const auto error = netlink.ask(request);
  return error.value() == ESRCH || error.value() == ENOENT ? boost::system::error_code() : error;
}

boost::system::result<std::size_t> remove_routes(const RouteSelector& selector) {
  Netlink netlink;
  std::size_t count = 0;
  for (const int family : {AF_INET6, AF_INET}) {
    const auto error = remove_of_family(netlink, selector, family, count);
    if (error) return error;
  }
  return count;
}

boost::system::result<std::vector<boost::asio::ip::address_v6>> keep_routes(const std::string& interface,
                                                                            int protocol) {
  const std::uint32_t index = ::if_nametoindex(interface.c_str());
  if (index == 0) return system_error(ENODEV);
  Netlink netlink;
  std::vector<boost::asio::ip::address_v6> gateways;
  std::vector<Request> copies;
  for (const int family : {AF_INET6, AF_INET}) {
    Request dump(RTM_GETROUTE, NLM_F_DUMP, family);
    dump.route()->rtm_protocol = static_cast<std::uint8_t>(protocol);
    dump.add(RTA_OIF, index);
    const auto error = netlink.ask(dump, [&](const nlmsghdr& message) {
      if (message.nlmsg_type != RTM_NEWROUTE) return;
      const auto* route = body_of<rtmsg>(&message);
      if (route->rtm_protocol == protocol && route->rtm_type == RTN_UNICAST &&
          (route->rtm_flags & RTM_F_CLONED) == 0 && leads_into(message, index, gateways))
        copies.push_back(copy_of(message));
    });
    if (error) return error;
  }
  for (auto& copy : copies) {
    // One that cannot be kept is lost a little earlier than the others.
    if (const auto error = netlink.ask(copy); error && error.value() == EPERM) return error;
  }
  return gateways;
}

std::optional<DefaultGateway> gateway_towards(const boost::asio::ip::address_v6& destination) {
  // The kernel looks it up as for a packet: rules, metrics and the preference of routers are its business.
  // Without the acknowledgement nothing would tell the end of an answer that is no dump.
  Request request(RTM_GETROUTE, NLM_F_ACK, AF_INET6);
  request.route()->rtm_dst_len = 128;
  request.add(RTA_DST, destination.to_bytes());
  Netlink netlink;
  std::optional<boost::asio::ip::address_v6> router;
  std::uint32_t index = 0;
  const auto error = netlink.ask(request, [&](const nlmsghdr& message) {
    const auto* route = body_of<rtmsg>(&message);
    if (message.nlmsg_type != RTM_NEWROUTE || route->rtm_type != RTN_UNICAST) return;
    auto size = static_cast<unsigned>(RTM_PAYLOAD(&message));
    for (const auto* attribute = RTM_RTA(route); RTA_OK(attribute, size);
         attribute = RTA_NEXT(attribute, size)) {
      const auto length = RTA_PAYLOAD(attribute);
      if (attribute->rta_type == RTA_OIF && length == sizeof index) {
        std::memcpy(&index, RTA_DATA(attribute), sizeof index);
      } else if (attribute->rta_type == RTA_GATEWAY && length == kLongestAddress) {
        boost::asio::ip::address_v6::bytes_type bytes;
        std::memcpy(bytes.data(), RTA_DATA(attribute), bytes.size());
        router = boost::asio::ip::address_v6(bytes);
      }
    }
  });
  std::array<char, IF_NAMESIZE> name{};
  if (error || !router || !::if_indextoname(index, name.data())) return std::nullopt;
  if (router->is_link_local()) router->scope_id(index);
  return DefaultGateway{*router, name.data()};
}

}  // namespace sixlink::platform
