// SPDX-License-Identifier: BSD-3-Clause
// Addresses of the network below the tunnels.
#include "src/net/outer_address.h"

#include "src/net/prefix.h"

namespace sixlink::net {

boost::asio::ip::address unmapped(const boost::asio::ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
}

std::string endpoint_text(const boost::asio::ip::address& address, std::uint16_t port) {
  const auto text = address.to_string();
  return (address.is_v6() ? "[" + text + "]" : text) + ":" + std::to_string(port);
}

boost::asio::ip::address quota_address(const boost::asio::ip::address& address) {
  if (address.is_v4()) return address;
  return mask(address.to_v6(), 64);
}

}  // namespace sixlink::net
