// SPDX-License-Identifier: BSD-3-Clause
// A node's address, routes and forwarding on Linux: rtnetlink(7), netdevice(7),
// Documentation/networking/ip-sysctl.rst.
#include "platform/overlay.h"

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>

#include "platform/linux/outer_mark.h"
#include "platform/posix/descriptor.h"

namespace sixlink::platform {
namespace {

using posix::Descriptor;
using posix::last_error;
using posix::to_error;

// Of our routes, so that people and programs can tell whose they are: unassigned in rt_protos.
constexpr std::uint8_t kRouteProtocol = 73;
// The worst: any other route for the same prefix is taken before it.
constexpr std::uint32_t kWorstMetric = 0x7fffffff;
// Behind the main table (32766) and the default one (32767).
constexpr std::uint32_t kLastTablePriority = 32800;

// One request to the kernel, and its answer.
class Request {
 public:
  template <typename Header>
  Request(std::uint16_t type, std::uint16_t flags, const Header& header) {
    message().nlmsg_type = type;
    message().nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    append(&header, sizeof header);
  }

  void add(std::uint16_t type, std::span<const std::uint8_t> value) {
    const rtattr attribute{static_cast<unsigned short>(RTA_LENGTH(value.size())), type};
    append(&attribute, sizeof attribute);
    append(value.data(), value.size());
  }
  void add(std::uint16_t type, std::uint32_t value) {
    std::array<std::uint8_t, sizeof value> bytes;
    std::memcpy(bytes.data(), &value, sizeof value);
    add(type, bytes);
  }

  boost::system::error_code send() {
    const Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!socket) return last_error();
    message().nlmsg_len = static_cast<std::uint32_t>(size_);
    if (::send(socket.get(), buffer_.data(), size_, 0) < 0) return last_error();
    // The kernel has done it, and has answered, when send() returns.
    alignas(nlmsghdr) std::array<char, 4096> answer;
    const auto size = ::recv(socket.get(), answer.data(), answer.size(), 0);
    if (size < 0) return last_error();
    nlmsghdr header;
    nlmsgerr result;
    if (static_cast<std::size_t>(size) < NLMSG_LENGTH(sizeof result)) return to_error(EBADMSG);
    std::memcpy(&header, answer.data(), sizeof header);
    std::memcpy(&result, answer.data() + NLMSG_HDRLEN, sizeof result);
    if (header.nlmsg_type != NLMSG_ERROR) return to_error(EBADMSG);
    return result.error == 0 ? boost::system::error_code() : to_error(-result.error);
  }

 private:
  nlmsghdr& message() { return *reinterpret_cast<nlmsghdr*>(buffer_.data()); }
  void append(const void* bytes, std::size_t size) {
    if (size > 0) std::memcpy(buffer_.data() + size_, bytes, size);
    size_ += NLMSG_ALIGN(size);
  }

  // The largest request here has three attributes.
  alignas(nlmsghdr) std::array<char, 512> buffer_{};
  std::size_t size_ = NLMSG_HDRLEN;
};

std::vector<std::uint8_t> bytes_of(const boost::asio::ip::address& address) {
  const auto copy = [](const auto& bytes) { return std::vector<std::uint8_t>(bytes.begin(), bytes.end()); };
  return address.is_v4() ? copy(address.to_v4().to_bytes()) : copy(address.to_v6().to_bytes());
}

boost::system::error_code change_address(std::uint16_t type, std::uint16_t flags,
                                         const std::string& interface,
                                         const boost::asio::ip::address& address) {
  ifaddrmsg header{};
  header.ifa_family = address.is_v4() ? AF_INET : AF_INET6;
  header.ifa_prefixlen = address.is_v4() ? 32 : 128;
  header.ifa_flags = address.is_v4() ? 0 : IFA_F_NODAD;
  header.ifa_scope = RT_SCOPE_UNIVERSE;
  header.ifa_index = ::if_nametoindex(interface.c_str());
  if (header.ifa_index == 0) return to_error(ENODEV);
  Request request(type, flags, header);
  request.add(IFA_LOCAL, bytes_of(address));
  request.add(IFA_ADDRESS, bytes_of(address));
  return request.send();
}

boost::system::error_code change_unreachable(std::uint16_t type, std::uint16_t flags,
                                             const net::Prefix& prefix) {
  const auto v4 = net::unmapped(prefix);
  rtmsg header{};
  header.rtm_family = v4 ? AF_INET : AF_INET6;
  header.rtm_dst_len = static_cast<unsigned char>(v4 ? v4->length : prefix.length);
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = kRouteProtocol;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNREACHABLE;
  Request request(type, flags, header);
  request.add(RTA_DST, v4 ? bytes_of(v4->address) : bytes_of(prefix.address));
  request.add(RTA_PRIORITY, kWorstMetric);
  return request.send();
}

boost::system::error_code change_way(std::uint16_t type, std::uint16_t flags,
                                     const boost::asio::ip::address& destination,
                                     const boost::asio::ip::address& gateway) {
  if (destination.is_v4() != gateway.is_v4()) return to_error(EAFNOSUPPORT);
  rtmsg header{};
  header.rtm_family = destination.is_v4() ? AF_INET : AF_INET6;
  header.rtm_dst_len = destination.is_v4() ? 32 : 128;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = kRouteProtocol;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  Request request(type, flags, header);
  request.add(RTA_DST, bytes_of(destination));
  request.add(RTA_GATEWAY, bytes_of(gateway));
  if (gateway.is_v6() && gateway.to_v6().scope_id() != 0)
    request.add(RTA_OIF, static_cast<std::uint32_t>(gateway.to_v6().scope_id()));
  return request.send();
}

boost::system::error_code change_last_table(std::uint16_t type, std::uint16_t flags, int family,
                                            std::uint32_t table) {
  fib_rule_hdr header{};
  header.family = static_cast<std::uint8_t>(family);
  header.action = FR_ACT_TO_TBL;
  header.flags = FIB_RULE_INVERT;  // all but those with the mark
  Request request(type, flags, header);
  request.add(FRA_PRIORITY, kLastTablePriority);
  request.add(FRA_TABLE, table);
  request.add(FRA_FWMARK, kOuterMark);
  request.add(FRA_FWMASK, UINT32_MAX);
  return request.send();
}

// ---- sysctl ----

constexpr char kRoot[] = "/proc/sys/net/";

// The names come from our own record, which a bug must not lead elsewhere.
bool is_setting_name(const std::string& name) {
  const bool is_known = name.starts_with("ipv6/conf/") || name.starts_with("ipv4/conf/");
  return is_known && name.find("..") == std::string::npos &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
}

std::string read_setting(const std::string& name) {
  std::ifstream file(kRoot + name);
  std::string value;
  std::getline(file, value);
  return value;
}

boost::system::error_code write_setting(const std::string& name, const std::string& value) {
  const Descriptor file(::open((kRoot + name).c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return last_error();
  if (::write(file.get(), value.data(), value.size()) < 0) return last_error();
  return {};
}

}  // namespace

boost::system::error_code bring_up(const std::string& interface) {
  ifreq request{};
  if (interface.size() >= sizeof request.ifr_name) return to_error(ENAMETOOLONG);
  // Where new interfaces are to have no IPv6, this one is to have it.
  const auto disabled = "ipv6/conf/" + interface + "/disable_ipv6";
  if (read_setting(disabled) == "1") {
    if (const auto error = write_setting(disabled, "0")) return error;
  }
  std::memcpy(request.ifr_name, interface.c_str(), interface.size() + 1);
  const Descriptor socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return last_error();
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return last_error();
  return {};
}

boost::system::error_code add_address(const std::string& interface, const boost::asio::ip::address& address) {
  return change_address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, interface, address);
}
boost::system::error_code remove_address(const std::string& interface,
                                         const boost::asio::ip::address& address) {
  return change_address(RTM_DELADDR, 0, interface, address);
}

boost::system::error_code add_unreachable(const net::Prefix& prefix) {
  return change_unreachable(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, prefix);
}
boost::system::error_code remove_unreachable(const net::Prefix& prefix) {
  return change_unreachable(RTM_DELROUTE, 0, prefix);
}

boost::system::error_code add_way(const boost::asio::ip::address& destination,
                                  const boost::asio::ip::address& gateway) {
  return change_way(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, destination, gateway);
}
boost::system::error_code remove_way(const boost::asio::ip::address& destination,
                                     const boost::asio::ip::address& gateway) {
  return change_way(RTM_DELROUTE, 0, destination, gateway);
}

boost::system::error_code add_last_table(std::uint32_t table) {
  for (const int family : {AF_INET6, AF_INET}) {
    const auto error = change_last_table(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, family, table);
    if (error && error.value() != EEXIST) return error;
  }
  return {};
}
boost::system::error_code remove_last_table(std::uint32_t table) {
  boost::system::error_code first;
  for (const int family : {AF_INET6, AF_INET}) {
    const auto error = change_last_table(RTM_DELRULE, 0, family, table);
    if (!first) first = error;
  }
  return first;
}

boost::system::error_code mark_outer(int socket) {
  if (::setsockopt(socket, SOL_SOCKET, SO_MARK, &kOuterMark, sizeof kOuterMark) != 0) return last_error();
  // What neighbours say to ff02::1 inside of a link of the kernel's has the same port, and does not come from
  // outside. IPv4 sockets have no such option.
  const int off = 0;
  (void)::setsockopt(socket, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off, sizeof off);
  return {};
}

// A forwarding host ignores router advertisements unless accept_ra is 2, and loses the default route that it
// learnt from one the moment forwarding is switched on: so that comes first.
std::vector<SystemSetting> settings_for_forwarding(bool has_v4) {
  std::vector<SystemSetting> settings;
  const std::string forwarding = "ipv6/conf/all/forwarding";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(kRoot) + "ipv6/conf", ignored)) {
    if (read_setting(forwarding) != "0") break;
    const auto name = "ipv6/conf/" + entry.path().filename().string() + "/accept_ra";
    if (!is_setting_name(name) || read_setting(name) != "1") continue;
    // "all" has no effect; "default" is of interfaces to come.
    if (entry.path().filename() != "all") settings.push_back({name, "1", "2"});
  }
  std::sort(settings.begin(), settings.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  // Switching all of them switches each; so does switching back.
  if (read_setting(forwarding) == "0") settings.push_back({forwarding, "0", "1"});
  if (!has_v4) return settings;
  const std::string forwarding_v4 = "ipv4/conf/all/forwarding";
  const std::string reverse_path = "ipv4/conf/all/rp_filter";
  if (read_setting(forwarding_v4) == "0") settings.push_back({forwarding_v4, "0", "1"});
  // The way back may be another one: strictness would drop what took it.
  if (read_setting(reverse_path) == "1") settings.push_back({reverse_path, "1", "2"});
  return settings;
}

std::vector<SystemSetting> settings_for_ipv6(const std::string& interface) {
  const auto name = "ipv6/conf/" + interface + "/disable_ipv6";
  if (!is_setting_name(name) || read_setting(name) != "1") return {};
  return {{name, "1", "0"}};
}

// A name that goes with its socket, and is another one in each network namespace: unix(7), abstract.
boost::system::result<int> claim_overlay(pid_t& holder) {
  constexpr char kName[] = "\0sixlink-overlay";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, kName, sizeof kName - 1);
  const auto* const name = reinterpret_cast<const sockaddr*>(&address);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + sizeof kName - 1);
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return last_error();
  if (::bind(socket.get(), name, size) == 0) {
    if (::listen(socket.get(), 1) != 0) return last_error();
    return socket.release();
  }
  if (errno != EADDRINUSE) return last_error();
  // Anybody may have taken the name; only who may run a node counts.
  ucred other{};
  socklen_t length = sizeof other;
  if (::connect(socket.get(), name, size) == 0 &&
      ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &other, &length) == 0 && other.uid != ::geteuid() &&
      other.uid != 0)
    return to_error(EPERM);
  holder = other.pid;
  return to_error(EADDRINUSE);
}

boost::system::error_code change_setting(const SystemSetting& setting) {
  if (!is_setting_name(setting.name)) return to_error(EINVAL);
  return write_setting(setting.name, setting.value);
}

boost::system::error_code restore_setting(const SystemSetting& setting) {
  if (!is_setting_name(setting.name)) return to_error(EINVAL);
  if (read_setting(setting.name) != setting.value) return {};
  return write_setting(setting.name, setting.before);
}

}  // namespace sixlink::platform
