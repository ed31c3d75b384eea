// SPDX-License-Identifier: BSD-3-Clause
// An interface's carrier over netlink: rtnetlink(7), IFLA_CARRIER.
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>

#include "platform/interface_state.h"
#include "platform/posix/descriptor.h"

namespace sixlink::platform {
namespace {

struct CarrierRequest {
  nlmsghdr header;
  ifinfomsg interface;
  rtattr attribute;
  std::uint8_t carrier;
};

struct Answer {
  nlmsghdr header;
  nlmsgerr error;
  std::uint8_t rest[512];  // of the request, and words about it
};

}  // namespace

boost::system::error_code set_carrier(const std::string& name, bool has_carrier) {
  CarrierRequest request{};
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof(ifinfomsg)) + RTA_LENGTH(sizeof request.carrier);
  request.header.nlmsg_type = RTM_NEWLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.interface.ifi_index = static_cast<int>(::if_nametoindex(name.c_str()));
  request.attribute.rta_type = IFLA_CARRIER;
  request.attribute.rta_len = RTA_LENGTH(sizeof request.carrier);
  request.carrier = has_carrier ? 1 : 0;
  if (request.interface.ifi_index == 0) return posix::to_error(ENODEV);
  const posix::Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket || ::send(socket.get(), &request, request.header.nlmsg_len, 0) < 0) return posix::last_error();
  Answer answer{};
  if (::recv(socket.get(), &answer, sizeof answer, 0) < 0) return posix::last_error();
  if (answer.header.nlmsg_type != NLMSG_ERROR) return posix::to_error(EPROTO);
  return answer.error.error == 0 ? boost::system::error_code() : posix::to_error(-answer.error.error);
}

}  // namespace sixlink::platform
