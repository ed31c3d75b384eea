// SPDX-License-Identifier: BSD-3-Clause
// platform/posix: the small parts that other systems are made of.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "platform/posix/clock_watch.h"
#include "platform/posix/descriptor.h"
#include "platform/posix/dont_fragment.h"
#include "platform/posix/raw_socket_parts.h"
#include "platform/posix/unit_name.h"

using namespace sixlink::platform;
using namespace std::chrono_literals;
using boost::asio::ip::make_address;

namespace {

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

}  // namespace

TEST_CASE("clock watch: a set clock and a sleep are noticed once, drift is not") {
  posix::ClockWatch watch(100s, 10s);
  CHECK_FALSE(watch.has_jumped(101s, 11s));
  CHECK_FALSE(watch.has_jumped(200s, 110s));
  // 500 ppm either way, for an hour.
  auto wall = 200s + 0ns;
  auto awake = 110s + 0ns;
  for (int i = 0; i < 1800; ++i) {
    wall += 2s + 1ms;
    awake += 2s;
    REQUIRE_FALSE(watch.has_jumped(wall, awake));
  }
  CHECK(watch.has_jumped(wall + 3600s, awake + 1s));  // slept, or was set forward
  CHECK_FALSE(watch.has_jumped(wall + 3602s, awake + 3s));
  CHECK(watch.has_jumped(wall, awake + 4s));  // set back
  CHECK_FALSE(watch.has_jumped(wall + 1s, awake + 5s));
  CHECK_FALSE(watch.has_jumped(wall + 2s + 900ms, awake + 6s));
  CHECK(watch.has_jumped(wall + 5s + 100ms, awake + 7s));
}

TEST_CASE("unit name: a driver's name and a number, written one way only") {
  CHECK(posix::unit_of("tun0", "tun") == 0U);
  CHECK(posix::unit_of("tun12", "tun") == 12U);
  CHECK(posix::unit_of("utun3", "utun") == 3U);
  CHECK(posix::unit_of("tun32767", "tun") == 32767U);
  for (const char* name : {"", "tun", "utun3", "tun03", "tun+3", "tun-1", "tun1x", "tun 1", "tun32768",
                           "tun99999999999999999999", "TUN0", "sixlink0"}) {
    CAPTURE(std::string(name));
    CHECK_FALSE(posix::unit_of(name, "tun").has_value());
  }
}

TEST_CASE("descriptor: one owner, closed once") {
  int raw = -1;
  {
    posix::Descriptor first(::socket(AF_UNIX, SOCK_DGRAM, 0));
    REQUIRE(first);
    raw = first.get();
    CHECK(posix::make_private(first));
    CHECK((::fcntl(raw, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(raw, F_GETFD) & FD_CLOEXEC) != 0);
    posix::Descriptor second(std::move(first));
    CHECK(second.get() == raw);
    CHECK(is_open(raw));
  }
  CHECK_FALSE(is_open(raw));
  posix::Descriptor third(::socket(AF_UNIX, SOCK_DGRAM, 0));
  raw = third.get();
  third.reset();
  CHECK_FALSE(is_open(raw));
  CHECK_FALSE(third);
  CHECK_FALSE(posix::make_private(third));
}

TEST_CASE("raw socket parts: tunnels bound and connected, and what cannot be is an error") {
  const auto any = make_address("0.0.0.0");
  const auto local = make_address("127.0.0.1");
  const auto opened = posix::open_raw_tunnel_socket(RawTunnel::kIpv6InIpv4, local, any);
  if (!opened && opened.error().value() == EPERM) {
    MESSAGE("not tested: needs the privilege to open raw sockets");
    return;
  }
  REQUIRE(opened.has_value());
  const posix::Descriptor receiver(*opened);
  CHECK((::fcntl(receiver.get(), F_GETFL) & O_NONBLOCK) != 0);
  const auto connected =
      posix::open_raw_tunnel_socket(RawTunnel::kIpv6InIpv4, make_address("127.0.0.2"), local);
  REQUIRE(connected.has_value());
  const posix::Descriptor sender(*connected);
  // The inner packet alone goes in, and comes out behind an IPv4 header.
  std::vector<std::uint8_t> packet(48, 7);
  packet[0] = 0x60;
  REQUIRE(::send(sender.get(), packet.data(), packet.size(), 0) == 48);
  DatagramBatch batch;
  for (int i = 0; i < 1000 && batch.count == 0; ++i) REQUIRE_FALSE(receive_batch(receiver.get(), batch));
  REQUIRE(batch.count == 1);
  CHECK(batch[0].size == 20 + 48);
  CHECK(batch[0].data[0] == 0x45);
  CHECK(batch[0].data[20] == 0x60);
  CHECK(batch[0].local == local);
  CHECK(batch[0].peer.address() == make_address("127.0.0.2"));
  // An address that is not ours.
  CHECK_FALSE(
      posix::open_raw_tunnel_socket(RawTunnel::kIpv6InIpv4, make_address("192.0.2.1"), any).has_value());
}

TEST_CASE("raw socket parts: an echo comes back, and a failure to choose the interface is told") {
  const auto local = make_address("127.0.0.1");
  const auto failed = posix::open_echo_socket(local, local, [](const posix::Descriptor&) {
    errno = ENXIO;
    return false;
  });
  REQUIRE_FALSE(failed.has_value());
  if (failed.error().value() == EPERM) {
    MESSAGE("not tested: needs the privilege to open raw sockets");
    return;
  }
  CHECK(failed.error().value() == ENXIO);
  const auto opened = posix::open_echo_socket(
      local, local, [](const posix::Descriptor& fd) { return static_cast<bool>(fd); });
  REQUIRE(opened.has_value());
  const posix::Descriptor echo(*opened);
  // Type, code, checksum, identifier, sequence: the sum of the words is 0xFFFF.
  const std::uint8_t request[] = {8, 0, 0xE5, 0xCA, 0x12, 0x34, 0x00, 0x01};
  REQUIRE(::send(echo.get(), request, sizeof request, 0) == sizeof request);
  DatagramBatch batch;
  bool has_reply = false;
  for (int i = 0; i < 2000 && !has_reply; ++i) {
    REQUIRE_FALSE(receive_batch(echo.get(), batch));
    // On the loopback interface the request itself is received too.
    for (std::size_t n = 0; n < batch.count; ++n) has_reply |= batch[n].size == 28 && batch[n].data[20] == 0;
  }
  CHECK(has_reply);
}

TEST_CASE("don't fragment: over IPv6 by its option, for IPv4 only where the system has one") {
  const std::uint8_t datagram[] = {1, 2, 3};
  const auto pair = [](int family, const sockaddr* address, socklen_t size) {
    posix::Descriptor receiver(::socket(family, SOCK_DGRAM, 0));
    posix::Descriptor sender(::socket(family, SOCK_DGRAM, 0));
    sockaddr_storage bound{};
    socklen_t bound_size = sizeof bound;
    if (::bind(receiver.get(), address, size) != 0 ||
        ::getsockname(receiver.get(), reinterpret_cast<sockaddr*>(&bound), &bound_size) != 0 ||
        ::connect(sender.get(), reinterpret_cast<sockaddr*>(&bound), bound_size) != 0) {
      sender.reset();
    }
    return std::pair(std::move(receiver), std::move(sender));
  };
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto [receiver4, sender4] = pair(AF_INET, reinterpret_cast<sockaddr*>(&v4), sizeof v4);
  REQUIRE(sender4);
  CHECK(posix::send_with_dont_fragment(sender4.get(), datagram, std::nullopt).value() == ENOTSUP);
  // No such option: nothing is sent.
  CHECK(posix::send_with_dont_fragment(sender4.get(), datagram, 9999));
  std::uint8_t buffer[10];
  CHECK(::recv(receiver4.get(), buffer, sizeof buffer, MSG_DONTWAIT) < 0);

  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_loopback;
  const auto [receiver6, sender6] = pair(AF_INET6, reinterpret_cast<sockaddr*>(&v6), sizeof v6);
  if (!sender6) {
    MESSAGE("not tested over IPv6: no ::1 here");
    return;
  }
  CHECK_FALSE(posix::send_with_dont_fragment(sender6.get(), datagram, std::nullopt));
  CHECK(::recv(receiver6.get(), buffer, sizeof buffer, 0) == 3);
  // Off again afterwards.
  int value = -1;
  socklen_t size = sizeof value;
  CHECK(::getsockopt(sender6.get(), IPPROTO_IPV6, IPV6_DONTFRAG, &value, &size) == 0);
  CHECK(value == 0);
  CHECK(posix::send_with_dont_fragment(-1, datagram, std::nullopt).value() == EBADF);
}
