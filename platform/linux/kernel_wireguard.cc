// SPDX-License-Identifier: BSD-3-Clause
// WireGuard interfaces of the kernel's on Linux: rtnetlink(7), and generic netlink with the family
// "wireguard" (linux/wireguard.h).
#include "platform/kernel_wireguard.h"

#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/wireguard.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "platform/linux/outer_mark.h"
#include "platform/overlay.h"
#include "platform/posix/descriptor.h"

namespace sixlink::platform {
namespace {

using boost::system::error_code;
using posix::Descriptor;
using posix::last_error;
using posix::to_error;

constexpr std::size_t kAnswerSize = 16384;
// The kernel answers within the call; this is for what nobody has thought of.
constexpr timeval kAnswerLimit{2, 0};
// Has the handshake begin at once. Nothing is sent for it on a link that lives: Babel says more, more often.
constexpr std::uint16_t kKeepalive = 25;
constexpr std::uint8_t kLinkLocalLength = 64;

// A message of a key's, wiped afterwards.
class Message {
 public:
  Message(std::uint16_t type, std::uint16_t flags) : bytes_(NLMSG_HDRLEN) {
    // In one piece: what grows leaves its bytes behind.
    bytes_.reserve(1024);
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    std::memcpy(bytes_.data(), &header, sizeof header);
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  ~Message() { ::explicit_bzero(bytes_.data(), bytes_.size()); }

  template <typename Header>
  void header(const Header& value) {
    append(&value, sizeof value);
  }
  void add(int type, std::span<const std::uint8_t> value) {
    const nlattr attribute{static_cast<std::uint16_t>(NLA_HDRLEN + value.size()),
                           static_cast<std::uint16_t>(type)};
    append(&attribute, sizeof attribute);
    append(value.data(), value.size());
  }
  template <typename T>
  void add_value(int type, const T& value) {
    add(type, {reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
  }
  void add_text(int type, const std::string& text) {
    add(type, {reinterpret_cast<const std::uint8_t*>(text.c_str()), text.size() + 1});
  }
  template <typename Fill>
  void nest(int type, const Fill& fill) {
    const auto at = bytes_.size();
    add(type | NLA_F_NESTED, {});
    fill();
    const auto length = static_cast<std::uint16_t>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at, &length, sizeof length);
  }

  std::span<const std::uint8_t> finish() {
    const auto length = static_cast<std::uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &length, sizeof length);
    return bytes_;
  }

 private:
  void append(const void* value, std::size_t size) {
    const auto at = bytes_.size();
    bytes_.resize(at + NLMSG_ALIGN(size));
    if (size > 0) std::memcpy(bytes_.data() + at, value, size);
  }

  std::vector<std::uint8_t> bytes_;
};

Descriptor open_netlink(int protocol) {
  Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (socket) (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerLimit, sizeof kAnswerLimit);
  return socket;
}

// Calls `take(type, payload)` for each message of the answer, until the one that ends it.
template <typename Take>
error_code ask(int socket, Message& message, const Take& take) {
  const auto request = message.finish();
  if (::send(socket, request.data(), request.size(), 0) < 0) return last_error();
  alignas(nlmsghdr) std::array<std::uint8_t, kAnswerSize> answer;
  for (;;) {
    const auto size = ::recv(socket, answer.data(), answer.size(), 0);
    if (size < 0) return last_error();
    std::span<const std::uint8_t> rest(answer.data(), static_cast<std::size_t>(size));
    error_code error;
    bool is_end = rest.empty();
    while (rest.size() >= sizeof(nlmsghdr) && !is_end) {
      nlmsghdr header;
      std::memcpy(&header, rest.data(), sizeof header);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size()) {
        error = to_error(EBADMSG);
        break;
      }
      const auto payload = rest.subspan(NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
      if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) {
        int code = 0;
        if (payload.size() >= sizeof code) std::memcpy(&code, payload.data(), sizeof code);
        if (code < 0) error = to_error(-code);
        is_end = true;
      } else {
        take(payload);
      }
      rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
    }
    // The kernel tells those who may ask the private key, too.
    ::explicit_bzero(answer.data(), answer.size());
    if (error || is_end) return error;
  }
}

error_code ask(int socket, Message& message) {
  return ask(socket, message, [](std::span<const std::uint8_t>) {});
}

template <typename Take>
void each_attribute(std::span<const std::uint8_t> bytes, const Take& take) {
  while (bytes.size() >= NLA_HDRLEN) {
    nlattr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.nla_len < NLA_HDRLEN || header.nla_len > bytes.size()) return;
    take(header.nla_type & NLA_TYPE_MASK, bytes.subspan(NLA_HDRLEN, header.nla_len - NLA_HDRLEN));
    bytes = bytes.subspan(std::min<std::size_t>(NLA_ALIGN(header.nla_len), bytes.size()));
  }
}

template <typename T>
T value_of(std::span<const std::uint8_t> bytes) {
  T value{};
  if (bytes.size() >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// The kernel loads the module when it is asked. 0: it has none.
std::uint16_t find_family(int socket) {
  Message message(GENL_ID_CTRL, NLM_F_ACK);
  message.header(genlmsghdr{CTRL_CMD_GETFAMILY, 1, 0});
  message.add_text(CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
  std::uint16_t family = 0;
  const auto error = ask(socket, message, [&](std::span<const std::uint8_t> payload) {
    if (payload.size() < GENL_HDRLEN) return;
    each_attribute(payload.subspan(GENL_HDRLEN), [&](int type, std::span<const std::uint8_t> value) {
      if (type == CTRL_ATTR_FAMILY_ID) family = value_of<std::uint16_t>(value);
    });
  });
  return error ? std::uint16_t{0} : family;
}

error_code make_interface(const KernelWireguard& wanted) {
  const auto socket = open_netlink(NETLINK_ROUTE);
  if (!socket) return last_error();
  Message message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  ifinfomsg header{};
  // Babel and the control messages of links are multicast.
  header.ifi_flags = IFF_MULTICAST;
  header.ifi_change = IFF_MULTICAST;
  message.header(header);
  message.add_text(IFLA_IFNAME, wanted.interface);
  message.add_value(IFLA_MTU, static_cast<std::uint32_t>(wanted.mtu));
  message.add_value(IFLA_GROUP, wanted.group);
  message.nest(IFLA_LINKINFO, [&] { message.add_text(IFLA_INFO_KIND, "wireguard"); });
  return ask(socket.get(), message);
}

error_code configure(const KernelWireguard& wanted) {
  const auto socket = open_netlink(NETLINK_GENERIC);
  if (!socket) return last_error();
  const auto family = find_family(socket.get());
  if (family == 0) return to_error(EOPNOTSUPP);
  Message message(family, NLM_F_ACK);
  message.header(genlmsghdr{WG_CMD_SET_DEVICE, WG_GENL_VERSION, 0});
  message.add_text(WGDEVICE_A_IFNAME, wanted.interface);
  message.add(WGDEVICE_A_PRIVATE_KEY, wanted.private_key);
  message.add_value(WGDEVICE_A_LISTEN_PORT, wanted.port);
  message.add_value(WGDEVICE_A_FWMARK, kOuterMark);
  message.add_value(WGDEVICE_A_FLAGS, static_cast<std::uint32_t>(WGDEVICE_F_REPLACE_PEERS));
  const auto allow_all = [&](std::uint16_t address_family, std::size_t size) {
    message.nest(0, [&] {
      message.add_value(WGALLOWEDIP_A_FAMILY, address_family);
      message.add(WGALLOWEDIP_A_IPADDR, std::vector<std::uint8_t>(size));
      message.add_value(WGALLOWEDIP_A_CIDR_MASK, std::uint8_t{0});
    });
  };
  message.nest(WGDEVICE_A_PEERS, [&] {
    message.nest(0, [&] {
      message.add(WGPEER_A_PUBLIC_KEY, wanted.peer);
      message.add(WGPEER_A_ENDPOINT,
                  {reinterpret_cast<const std::uint8_t*>(wanted.endpoint.data()), wanted.endpoint.size()});
      if (wanted.begins_handshake) message.add_value(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, kKeepalive);
      message.nest(WGPEER_A_ALLOWEDIPS, [&] {
        allow_all(AF_INET, sizeof(in_addr));
        allow_all(AF_INET6, sizeof(in6_addr));
      });
    });
  });
  return ask(socket.get(), message);
}

error_code add_link_local(const std::string& interface, const net::AddressV6& address) {
  const auto socket = open_netlink(NETLINK_ROUTE);
  if (!socket) return last_error();
  Message message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  ifaddrmsg header{};
  header.ifa_family = AF_INET6;
  header.ifa_prefixlen = kLinkLocalLength;
  header.ifa_flags = IFA_F_NODAD;  // nobody else is on the link
  header.ifa_scope = RT_SCOPE_LINK;
  header.ifa_index = ::if_nametoindex(interface.c_str());
  message.header(header);
  message.add(IFA_LOCAL, address.to_bytes());
  message.add(IFA_ADDRESS, address.to_bytes());
  return ask(socket.get(), message);
}

error_code delete_interface(const std::string& interface) {
  const auto socket = open_netlink(NETLINK_ROUTE);
  if (!socket) return last_error();
  Message message(RTM_DELLINK, NLM_F_ACK);
  message.header(ifinfomsg{});
  message.add_text(IFLA_IFNAME, interface);
  return ask(socket.get(), message);
}

boost::asio::ip::udp::endpoint endpoint_of(std::span<const std::uint8_t> bytes) {
  boost::asio::ip::udp::endpoint endpoint;
  const auto family = value_of<sockaddr>(bytes).sa_family;
  const bool is_known = family == AF_INET ? bytes.size() == sizeof(sockaddr_in)
                                          : family == AF_INET6 && bytes.size() == sizeof(sockaddr_in6);
  if (!is_known) return endpoint;
  std::memcpy(endpoint.data(), bytes.data(), bytes.size());
  endpoint.resize(bytes.size());
  return endpoint;
}

void read_peer(std::span<const std::uint8_t> peer, KernelWireguardState& state) {
  each_attribute(peer, [&](int type, std::span<const std::uint8_t> value) {
    if (type == WGPEER_A_RX_BYTES) state.bytes_in = value_of<std::uint64_t>(value);
    if (type == WGPEER_A_TX_BYTES) state.bytes_out = value_of<std::uint64_t>(value);
    if (type == WGPEER_A_ENDPOINT) state.endpoint = endpoint_of(value);
    if (type == WGPEER_A_LAST_HANDSHAKE_TIME) {
      // struct __kernel_timespec
      const auto time = value_of<std::array<std::int64_t, 2>>(value);
      state.handshake =
          static_cast<std::uint64_t>(time[0]) * 1'000'000'000 + static_cast<std::uint64_t>(time[1]);
    }
  });
}

}  // namespace

bool has_kernel_wireguard() {
  const auto socket = open_netlink(NETLINK_GENERIC);
  return socket && find_family(socket.get()) != 0;
}

error_code make_kernel_wireguard(const KernelWireguard& wanted) {
  if (const auto error = make_interface(wanted)) return error;
  auto error = configure(wanted);
  if (!error) error = bring_up(wanted.interface);
  if (!error) error = add_link_local(wanted.interface, wanted.address);
  if (error) (void)delete_interface(wanted.interface);
  return error;
}

error_code remove_kernel_wireguard(const std::string& interface) {
  // Something else by that name is somebody else's.
  const auto state = KernelWireguardReader().read(interface);
  if (!state) {
    return state.error().value() == EOPNOTSUPP ? to_error(EINVAL) : state.error();
  }
  return delete_interface(interface);
}

error_code set_interface_group(const std::string& interface, std::uint32_t group) {
  const auto socket = open_netlink(NETLINK_ROUTE);
  if (!socket) return last_error();
  Message message(RTM_SETLINK, NLM_F_ACK);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (header.ifi_index == 0) return to_error(ENODEV);
  message.header(header);
  message.add_value(IFLA_GROUP, group);
  return ask(socket.get(), message);
}

KernelWireguardReader::~KernelWireguardReader() {
  if (socket_ >= 0) ::close(socket_);
}

boost::system::result<KernelWireguardState> KernelWireguardReader::read(const std::string& interface) {
  if (socket_ < 0) {
    auto socket = open_netlink(NETLINK_GENERIC);
    if (!socket) return last_error();
    family_ = find_family(socket.get());
    if (family_ == 0) return to_error(EOPNOTSUPP);
    socket_ = socket.release();
  }
  Message message(family_, NLM_F_DUMP);
  message.header(genlmsghdr{WG_CMD_GET_DEVICE, WG_GENL_VERSION, 0});
  message.add_text(WGDEVICE_A_IFNAME, interface);
  KernelWireguardState state;
  const auto error = ask(socket_, message, [&](std::span<const std::uint8_t> payload) {
    if (payload.size() < GENL_HDRLEN) return;
    each_attribute(payload.subspan(GENL_HDRLEN), [&](int type, std::span<const std::uint8_t> value) {
      if (type != WGDEVICE_A_PEERS) return;
      each_attribute(value, [&](int, std::span<const std::uint8_t> peer) { read_peer(peer, state); });
    });
  });
  if (!error) return state;
  // What is left of an answer must not be taken for the next one's.
  ::close(std::exchange(socket_, -1));
  return error;
}

boost::system::result<int> open_link_socket(const std::string& interface, std::uint16_t port) {
  const int index = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (index == 0) return to_error(ENODEV);
  Descriptor socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return last_error();
  const int on = 1;
  const int off = 0;
  const int one_hop = 1;
  const auto set = [&](int level, int option, int value) {
    return ::setsockopt(socket.get(), level, option, &value, sizeof value) == 0;
  };
  // The port is the node's own sockets', too.
  if (!set(SOL_SOCKET, SO_REUSEPORT, on) || !set(IPPROTO_IPV6, IPV6_V6ONLY, on) ||
      !set(IPPROTO_IPV6, IPV6_MULTICAST_IF, index) || !set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, one_hop) ||
      !set(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, off))
    return last_error();
  sockaddr_in6 local{};
  local.sin6_family = AF_INET6;
  local.sin6_port = htons(port);
  local.sin6_scope_id = static_cast<std::uint32_t>(index);
  local.sin6_addr.s6_addr[0] = 0xff;
  local.sin6_addr.s6_addr[1] = 0x02;
  local.sin6_addr.s6_addr[15] = 1;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) return last_error();
  return socket.release();
}

error_code send_out_of(const std::string& interface, std::span<const std::uint8_t> packet) {
  constexpr std::size_t kHeaderSize = 40;
  constexpr std::size_t kDestination = 24;
  if (packet.size() < kHeaderSize) return to_error(EINVAL);
  const auto index = ::if_nametoindex(interface.c_str());
  if (index == 0) return to_error(ENODEV);
  // What is sent with this protocol has its header already (raw(7), ipv6(7)).
  Descriptor socket(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
  if (!socket) return last_error();
  const auto scope = static_cast<int>(index);
  const int off = 0;
  if (::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_MULTICAST_IF, &scope, sizeof scope) != 0 ||
      ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &off, sizeof off) != 0)
    return last_error();
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_scope_id = index;
  std::memcpy(&to.sin6_addr, packet.data() + kDestination, sizeof to.sin6_addr);
  const auto sent = ::sendto(socket.get(), packet.data(), packet.size(), 0,
                             reinterpret_cast<const sockaddr*>(&to), sizeof to);
  return sent < 0 ? last_error() : error_code();
}

}  // namespace sixlink::platform
