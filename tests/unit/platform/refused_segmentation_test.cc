// SPDX-License-Identifier: BSD-3-Clause
// DatagramSocket where the kernel refuses to cut super datagrams with EIO, as it does where the way out
// computes no checksums or encrypts: no test can have such an interface, so this program's own sendmmsg()
// says so.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "platform/packet_io.h"

namespace {

constexpr int kUdpSegment = 103;

std::atomic<bool> is_refusing{false};
std::atomic<int> refused{0};

bool is_super_datagram(msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(&message, control))
    if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == kUdpSegment) return true;
  return false;
}

}  // namespace

// Before the C library's. What comes before a message that is refused is sent, as the kernel does it.
extern "C" int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags) {
  using Call = int (*)(int, mmsghdr*, unsigned int, int);
  static const auto real = reinterpret_cast<Call>(::dlsym(RTLD_NEXT, "sendmmsg"));
  if (is_refusing) {
    for (unsigned int i = 0; i < count; ++i) {
      if (!is_super_datagram(messages[i].msg_hdr)) continue;
      if (i > 0) return real(fd, messages, i, flags);
      ++refused;
      errno = EIO;
      return -1;
    }
  }
  return real(fd, messages, count, flags);
}

using namespace sixlink::platform;
using boost::asio::ip::make_address;
using boost::asio::ip::udp;
using Bytes = std::vector<std::uint8_t>;

TEST_CASE(
    "datagram socket: super datagrams that are refused go one by one, seldom tried again, until they are "
    "taken") {
  const auto open = [] {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const udp::endpoint any(make_address("127.0.0.1"), 0);
    REQUIRE(::bind(fd, any.data(), static_cast<socklen_t>(any.size())) == 0);
    return fd;
  };
  const int near = open();
  const int far = open();
  udp::endpoint to;
  auto size = static_cast<socklen_t>(to.capacity());
  REQUIRE(::getsockname(far, to.data(), &size) == 0);
  to.resize(size);

  DatagramSocket sender(near, DatagramSocket::Kind::kUdp, false, {});
  DatagramSocket receiver(far, DatagramSocket::Kind::kUdp, false, Offloads::none());
  if (!sender.granted().udp_segment) {
    MESSAGE("not tested: this kernel has no UDP_SEGMENT");
    ::close(near);
    ::close(far);
    return;
  }
  SendBatch batch;
  const Bytes first(10, 1);
  const Bytes data(50, 2);
  REQUIRE(batch.add({to, {}, 1}, first));
  for (int i = 0; i < 10; ++i) REQUIRE(batch.add({to, {}, 0}, data));
  REQUIRE(batch.add({to, {}, 1}, first));
  REQUIRE(batch.super_datagrams() == 3);

  ReceiveBatch received(64, 2048);
  const auto round = [&] {
    const auto result = sender.send(batch);
    CHECK(result.sent == 12);
    CHECK(result.failed == 0);
    CHECK_FALSE(result.error);
    std::size_t seen = 0;
    while (seen < 12) {
      REQUIRE_FALSE(receiver.receive(received));
      REQUIRE(received.size() > 0);  // the loopback interface delivers at once
      for (auto& entry : received.entries()) {
        const bool is_outer = seen == 0 || seen == 11;
        CHECK(Bytes(entry.data, entry.data + entry.size) == (is_outer ? first : data));
        ++seen;
      }
    }
  };
  round();
  CHECK(refused == 0);
  is_refusing = true;
  round();
  CHECK(refused == 1);
  CHECK_FALSE(sender.granted().udp_segment);
  for (int i = 0; i < 1000; ++i) round();
  CHECK(refused == 1);
  for (int i = 0; i < 100; ++i) round();
  CHECK(refused == 2);
  is_refusing = false;
  for (int i = 0; i < 1100; ++i) round();
  CHECK(refused == 2);
  CHECK(sender.granted().udp_segment);
  ::close(near);
  ::close(far);
}
