// SPDX-License-Identifier: BSD-3-Clause
// platform/posix/family_tun.cc, with one end of a datagram socket pair in the place of the device.
#include "platform/posix/family_tun.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <vector>

using namespace sixlink::platform::posix;
using Bytes = std::vector<std::uint8_t>;

namespace {

constexpr std::uint8_t kV4 = AF_INET;
constexpr std::uint8_t kV6 = AF_INET6;

// The other end is the kernel.
struct Fixture {
  int kernel = -1;
  std::string removed;
  std::optional<FamilyTun> tun;

  Fixture() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) == 0);
    kernel = ends[0];
    tun.emplace("tun7", ends[1], [this](const std::string& name) { removed = name; });
  }
  ~Fixture() { ::close(kernel); }
  void give(const Bytes& bytes) {
    REQUIRE(::send(kernel, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }
  std::optional<Bytes> taken() {
    Bytes bytes(100);
    const auto size = ::recv(kernel, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size < 0) return std::nullopt;
    bytes.resize(static_cast<std::size_t>(size));
    return bytes;
  }
};

}  // namespace

TEST_CASE("family header: four bytes in network order, by the packet's version") {
  FamilyHeader header{9, 9, 9, 9};
  CHECK(make_family_header(Bytes{0x60, 1, 2}, header));
  CHECK(header == FamilyHeader{0, 0, 0, kV6});
  CHECK(make_family_header(Bytes{0x45}, header));
  CHECK(header == FamilyHeader{0, 0, 0, kV4});
  for (const Bytes& packet : {Bytes{}, Bytes{0x00}, Bytes{0x50}, Bytes{0x70}, Bytes{0xF0, 0, 0, 0xF0}}) {
    CHECK_FALSE(make_family_header(packet, header));
  }
  CHECK(is_inner_family({0, 0, 0, kV4}));
  CHECK(is_inner_family({0, 0, 0, kV6}));
  CHECK_FALSE(is_inner_family({kV6, 0, 0, 0}));  // the machine's order
  CHECK_FALSE(is_inner_family({0, 0, 0, 0}));
  CHECK_FALSE(is_inner_family({0, 0, 1, kV6}));
}

TEST_CASE_FIXTURE(Fixture, "family tun: what is read has no header, what is written gets one") {
  std::uint8_t buffer[100];
  CHECK(tun->name() == "tun7");
  give({0, 0, 0, kV6, 0x60, 1, 2, 3});
  give({0, 0, 0, kV4, 0x45, 7});
  REQUIRE(tun->read(buffer) == 4);
  CHECK(Bytes(buffer, buffer + 4) == Bytes{0x60, 1, 2, 3});
  REQUIRE(tun->read(buffer) == 2);
  CHECK(Bytes(buffer, buffer + 2) == Bytes{0x45, 7});
  CHECK(tun->read(buffer) == 0);  // nothing there

  CHECK(tun->write(Bytes{0x60, 4, 5}) == 0);
  CHECK(taken() == Bytes{0, 0, 0, kV6, 0x60, 4, 5});
  CHECK(tun->write(Bytes{0x46, 8}) == 0);
  CHECK(taken() == Bytes{0, 0, 0, kV4, 0x46, 8});
}

TEST_CASE_FIXTURE(Fixture, "family tun: what is no inner packet is passed over in both directions") {
  std::uint8_t buffer[100];
  give({0, 0, 0, 99, 0x60, 1});  // another family
  give({0, 0});                  // not even a header
  give({0, 0, 0, kV6});          // nothing behind it
  give({0, 0, 0, kV6, 0x60, 42, 43});
  REQUIRE(tun->read(buffer) == 3);
  CHECK(buffer[1] == 42);
  CHECK(tun->read(buffer) == 0);
  CHECK(tun->write(Bytes{0x00, 1}) == -EINVAL);
  CHECK(tun->write(Bytes{}) == -EINVAL);
  CHECK_FALSE(taken().has_value());
}

TEST_CASE_FIXTURE(Fixture, "family tun: a full queue costs the packet only") {
  const Bytes packet(1000, 0x60);
  int written = 0;
  for (int i = 0; i < 5000; ++i) {
    if (tun->write(packet) != 0) break;
    ++written;
  }
  CHECK(written == 5000);
  while (taken()) {
  }
  CHECK(tun->write(Bytes{0x60, 1}) == 0);
  CHECK(taken() == Bytes{0, 0, 0, kV6, 0x60, 1});
}

TEST_CASE_FIXTURE(Fixture,
                  "family tun: an error is told, and the interface is removed after the descriptor") {
  const int fd = tun->fd();
  ::close(kernel);
  kernel = -1;
  CHECK(tun->write(Bytes{0x60, 1}) < 0);
  CHECK(removed.empty());
  tun.reset();
  CHECK(removed == "tun7");
  CHECK(::fcntl(fd, F_GETFD) == -1);
}
