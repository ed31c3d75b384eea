// SPDX-License-Identifier: BSD-3-Clause
// The inner packet of an EchoMessage.
#include "src/tunnel/echo_packet.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace sixlink::tunnel {

net::IcmpPacket make_echo_packet(const EchoMessage& echo, const boost::asio::ip::address& source,
                                 const boost::asio::ip::address& destination) {
  constexpr std::size_t kIcmpHeaderSize = 8;
  const std::size_t headers = (source.is_v4() ? 20 : 40) + kIcmpHeaderSize;
  std::array<std::uint8_t, net::IcmpPacket::kLargest> payload{};
  std::memcpy(payload.data(), &echo.cookie, sizeof echo.cookie);
  const auto size = std::clamp(echo.packet_size, headers + sizeof echo.cookie, net::IcmpPacket::kLargest);
  return net::make_echo_request(source, destination, echo.identifier, echo.sequence,
                                std::span(payload).first(size - headers));
}

}  // namespace sixlink::tunnel
