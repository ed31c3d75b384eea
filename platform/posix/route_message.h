// SPDX-License-Identifier: BSD-3-Clause
// What a routing socket (route(4)) tells, as far as a tunnel cares: interfaces, addresses, default routes.
// The messages are alike everywhere but for offsets and numbers, which the caller gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sixlink::platform::posix {

struct RouteLayout {
  std::uint8_t version;           // RTM_VERSION
  std::uint64_t always;           // bit N: messages of type N always concern us (RTM_NEWADDR, ...)
  std::size_t addresses;          // offset of rt_msghdr's rtm_addrs
  std::size_t header;             // the size of rt_msghdr, after which the addresses stand,
  std::size_t header_length = 0;  // unless the message has its own 16-bit size of it at this offset
  // An address takes a multiple of this; at least one, also when its length is 0.
  std::size_t alignment;
  bool has_length = true;  // sockaddr begins with its length; else the size goes by the family
  std::uint8_t family_v4;  // AF_INET
  std::uint8_t family_v6;  // AF_INET6
};

constexpr std::uint64_t type_bit(int type) {
  return std::uint64_t{1} << type;
}

// Whether `message` tells of a change of an interface, an address or a default route. One that cannot be read
// counts: to look once too often does no harm.
bool is_change(std::span<const std::uint8_t> message, const RouteLayout& layout);

}  // namespace sixlink::platform::posix
