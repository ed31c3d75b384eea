// SPDX-License-Identifier: BSD-3-Clause
// Reads routing messages by offsets: a rt_msghdr, then as many sockaddrs as rtm_addrs has bits, in the order
// of the bits.
#include "platform/posix/route_message.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace sixlink::platform::posix {
namespace {

// The same on every system.
constexpr int kAdd = 1;
constexpr int kDelete = 2;
constexpr int kChange = 3;
constexpr std::uint32_t kDestination = 1;
constexpr std::uint32_t kGateway = 2;
constexpr std::uint32_t kNetmask = 4;
constexpr std::size_t kV4Offset = 4;  // sin_addr
constexpr std::size_t kV6Offset = 8;  // sin6_addr

using Bytes = std::span<const std::uint8_t>;

template <typename T>
std::optional<T> number_at(Bytes bytes, std::size_t offset) {
  if (offset + sizeof(T) > bytes.size()) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Takes the first sockaddr off `rest`. With a length the last one need not be padded to the end.
std::optional<Bytes> take_address(Bytes& rest, const RouteLayout& layout) {
  if (rest.size() < 2) return std::nullopt;
  std::size_t size = rest[0];
  if (!layout.has_length) {
    const auto family = number_at<std::uint16_t>(rest, 0).value();
    // SunOS: sockaddr_in6 has __sin6_src_id at its end; the one other family is that of sockaddr_dl.
    size = family == layout.family_v4 ? 16 : family == layout.family_v6 ? 32 : 252;
  }
  if (size > rest.size()) return std::nullopt;
  const auto address = rest.first(size);
  const auto padded =
      std::max<std::size_t>(1, (size + layout.alignment - 1) / layout.alignment) * layout.alignment;
  rest = rest.subspan(std::min(padded, rest.size()));
  return address;
}

// The kernel cuts zeros off the end of an address.
bool is_zero_from(Bytes address, std::size_t offset) {
  return offset >= address.size() || std::all_of(address.begin() + static_cast<std::ptrdiff_t>(offset),
                                                 address.end(), [](std::uint8_t byte) { return byte == 0; });
}

// nullopt: cannot be read.
std::optional<bool> is_default_route(Bytes message, const RouteLayout& layout) {
  const auto present = number_at<std::uint32_t>(message, layout.addresses);
  auto header = layout.header;
  if (layout.header_length != 0) {
    const auto own = number_at<std::uint16_t>(message, layout.header_length);
    if (!own) return std::nullopt;
    header = *own;
  }
  if (!present || header > message.size() || (*present & kDestination) == 0) return std::nullopt;
  auto rest = message.subspan(header);
  const auto destination = take_address(rest, layout);
  if (!destination || destination->size() < 2) return std::nullopt;
  const auto family =
      layout.has_length ? (*destination)[1] : number_at<std::uint16_t>(*destination, 0).value();
  if (family != layout.family_v4 && family != layout.family_v6) return false;
  const auto offset = family == layout.family_v4 ? kV4Offset : kV6Offset;
  const auto size = std::size_t{family == layout.family_v4 ? 4U : 16U};
  if (!is_zero_from(destination->first(std::min(destination->size(), offset + size)), offset)) return false;
  if ((*present & kNetmask) == 0) return true;
  if ((*present & kGateway) != 0 && !take_address(rest, layout)) return std::nullopt;
  const auto mask = take_address(rest, layout);
  if (!mask) return std::nullopt;
  return is_zero_from(mask->first(std::min(mask->size(), offset + size)), offset);
}

}  // namespace

bool is_change(std::span<const std::uint8_t> message, const RouteLayout& layout) {
  // rtm_msglen (16 bits), rtm_version, rtm_type begin every message on every system.
  const auto length = number_at<std::uint16_t>(message, 0);
  if (!length || *length < 4 || *length > message.size() || message[2] != layout.version) return true;
  const int type = message[3];
  if (type < 64 && (layout.always & type_bit(type)) != 0) return true;
  if (type != kAdd && type != kDelete && type != kChange) return false;
  return is_default_route(message.first(*length), layout).value_or(true);
}

}  // namespace sixlink::platform::posix
