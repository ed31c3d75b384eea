// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/icmp.hpp>
#include <vector>

#include "platform/platform.h"

using namespace sixlink::platform;
using boost::asio::ip::address_v6;

TEST_CASE("path mtu: IPv4 needs no watch") {
  const auto watch = watch_path_mtu(RawTunnel::kIpv6InIpv4, boost::asio::ip::address_v4());
  REQUIRE_FALSE(watch);
  CHECK(watch.error() == boost::system::errc::operation_not_supported);
}

TEST_CASE("path mtu: a watch takes no packet from the tunnel's socket") {
  const auto watch = watch_path_mtu(RawTunnel::kIpv4InIpv6, address_v6::loopback());
  if (!watch && (watch.error() == boost::system::errc::operation_not_permitted ||
                 watch.error() == boost::system::errc::operation_not_supported ||
                 watch.error() == boost::system::errc::permission_denied)) {
    MESSAGE("not checked: ", watch.error().message());
    return;
  }
  REQUIRE_MESSAGE(watch.has_value(), watch.error().message());
  const auto tunnel = open_raw_tunnel(RawTunnel::kIpv4InIpv6, address_v6::loopback(), address_v6());
  REQUIRE(tunnel.has_value());
  const std::vector<unsigned char> packet(100, 0x45);
  const boost::asio::ip::icmp::endpoint target(address_v6::loopback(), 0);
  REQUIRE(::sendto(*tunnel, packet.data(), packet.size(), 0, target.data(),
                   static_cast<socklen_t>(target.size())) == 100);
  pollfd arrived{*tunnel, POLLIN, 0};
  CHECK(::poll(&arrived, 1, 2000) == 1);
  pollfd watched{*watch, POLLIN, 0};
  CHECK(::poll(&watched, 1, 0) == 0);
  ::close(*tunnel);
  ::close(*watch);
}
