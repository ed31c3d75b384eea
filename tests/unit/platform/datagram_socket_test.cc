// SPDX-License-Identifier: BSD-3-Clause
// platform/<os>/datagram_socket.cc over the loopback interface, with and without offloads, which must not
// differ in what arrives.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <random>
#include <thread>

#include "platform/packet_io.h"
#include "platform/platform.h"
#include "tests/unit/platform/in_own_network.h"

using namespace sixlink;
using namespace sixlink::platform;
using boost::asio::ip::address;
using boost::asio::ip::make_address;
using boost::asio::ip::udp;
using Bytes = std::vector<std::uint8_t>;

namespace {

class Socket {
 public:
  explicit Socket(const char* at, int buffer = 4 << 20) {
    const udp::endpoint endpoint(make_address(at), 0);
    fd_ = ::socket(endpoint.protocol().family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    REQUIRE(fd_ >= 0);
    REQUIRE(::bind(fd_, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0);
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { ::close(fd_); }
  int fd() const { return fd_; }
  udp::endpoint endpoint() const {
    udp::endpoint found;
    auto size = static_cast<socklen_t>(found.capacity());
    ::getsockname(fd_, found.data(), &size);
    found.resize(size);
    return found;
  }
  bool connect(const udp::endpoint& to) const {
    return ::connect(fd_, to.data(), static_cast<socklen_t>(to.size())) == 0;
  }

 private:
  int fd_ = -1;
};

struct Received {
  Bytes bytes;
  Route route;
};

// Datagram by datagram, until `count` came or nothing more does.
std::vector<Received> receive(DatagramSocket& from, std::size_t count, std::size_t* calls_worth = nullptr,
                              ReceiveBatch* batch = nullptr) {
  ReceiveBatch own(64);
  ReceiveBatch& into = batch != nullptr ? *batch : own;
  std::vector<Received> all;
  std::size_t entries = 0;
  for (int tries = 0; tries < 100 && all.size() < count; ++tries) {
    REQUIRE_FALSE(from.receive(into));
    if (into.size() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    for (auto& entry : into.entries()) {
      tries = 0;
      ++entries;
      CHECK_FALSE(entry.is_truncated);
      std::size_t seen = 0;
      for (std::size_t at = 0; at < entry.size || at == 0;
           at += std::max<std::size_t>(entry.segment_size, 1)) {
        const std::size_t size = std::min(entry.segment_size, entry.size - at);
        all.push_back({Bytes(entry.data + at, entry.data + at + size), entry.route});
        ++seen;
      }
      CHECK(seen == entry.datagrams());
    }
  }
  if (calls_worth != nullptr) *calls_worth = entries;
  return all;
}

Bytes numbered(std::size_t size, std::size_t number) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(number * 31 + i * 7 + i / 250);
  return bytes;
}

// Every test with all offloads, with one of each side's, and with none.
struct Fixture {
  Offloads wanted;
  Fixture() {
    SUBCASE("all offloads") {}
    SUBCASE("no UDP_SEGMENT") {
      wanted.udp_segment = false;
    }
    SUBCASE("no UDP_GRO") {
      wanted.udp_gro = false;
    }
    SUBCASE("none") {
      wanted = Offloads::none();
    }
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "datagram socket: grants no more than is wanted") {
  const Socket socket("127.0.0.1");
  const DatagramSocket io(socket.fd(), DatagramSocket::Kind::kUdp, false, wanted);
  const Offloads granted = io.granted();
  CHECK((!granted.udp_segment || wanted.udp_segment));
  CHECK((!granted.udp_gro || wanted.udp_gro));
  CHECK_FALSE(granted.tun_tcp);
  CHECK(DatagramSocket(socket.fd(), DatagramSocket::Kind::kRaw, false, wanted).granted() == Offloads::none());
}

TEST_CASE_FIXTURE(Fixture, "datagram socket: nothing there is no error") {
  const Socket socket("::1");
  DatagramSocket io(socket.fd(), DatagramSocket::Kind::kUdp, false, wanted);
  ReceiveBatch batch(4, 2048);
  CHECK_FALSE(io.receive(batch));
  CHECK(batch.size() == 0);
  SendBatch nothing;
  const auto result = io.send(nothing);
  CHECK(result.sent == 0);
  CHECK(result.failed == 0);
  CHECK_FALSE(result.error);
}

TEST_CASE_FIXTURE(Fixture, "datagram socket: datagrams of any sizes arrive as they were added, in order") {
  std::mt19937 random(70);
  for (const bool is_connected : {false, true}) {
    for (const char* at : {"127.0.0.1", "::1"}) {
      const Socket one(at);
      const Socket two(at);
      if (is_connected) REQUIRE(one.connect(two.endpoint()));
      DatagramSocket sender(one.fd(), DatagramSocket::Kind::kUdp, is_connected, wanted);
      DatagramSocket receiver(two.fd(), DatagramSocket::Kind::kUdp, false, wanted);
      SendBatch batch(256);
      Route to;
      if (!is_connected) to.peer = two.endpoint();
      for (int round = 0; round < 20; ++round) {
        std::vector<Bytes> datagrams;
        std::size_t size = 1 + random() % 1400;
        while (datagrams.size() < 200) {
          if (random() % 20 == 0) size = 1 + random() % 1400;
          datagrams.push_back(numbered(random() % 30 == 0 ? random() % size : size, datagrams.size()));
        }
        batch.clear();
        for (const auto& datagram : datagrams) {
          // In pieces, some of which follow each other in memory.
          const std::size_t cut = datagram.empty() ? 0 : random() % datagram.size();
          auto* data = const_cast<std::uint8_t*>(datagram.data());
          const std::array<iovec, 2> pieces{{{data, cut}, {data + cut, datagram.size() - cut}}};
          REQUIRE(batch.add(to, pieces));
        }
        CHECK(batch.datagrams() == 200);
        CHECK(batch.super_datagrams() < 60);
        const auto result = sender.send(batch);
        CHECK(result.sent == 200);
        CHECK(result.failed == 0);
        CHECK_FALSE(result.error);
        const auto received = receive(receiver, 200);
        REQUIRE(received.size() == 200);
        for (std::size_t i = 0; i < 200; ++i) {
          REQUIRE(received[i].bytes == datagrams[i]);
          REQUIRE(received[i].route.peer == one.endpoint());
        }
      }
    }
  }
}

TEST_CASE("datagram socket: many datagrams are one message each way, where the system does it") {
  const Socket one("127.0.0.1");
  const Socket two("127.0.0.1");
  DatagramSocket sender(one.fd(), DatagramSocket::Kind::kUdp, false, {});
  DatagramSocket receiver(two.fd(), DatagramSocket::Kind::kUdp, false, {});
  SendBatch batch;
  const Bytes data = numbered(500, 1);
  const Route to{two.endpoint(), {}, 0};
  for (int i = 0; i < 200; ++i) REQUIRE(batch.add(to, data));
  CHECK(batch.super_datagrams() == 4);  // 64 at most
  CHECK(sender.send(batch).sent == 200);
  std::size_t entries = 0;
  CHECK(receive(receiver, 200, &entries).size() == 200);
  if (sender.granted().udp_segment && receiver.granted().udp_gro) {
    CHECK(entries == 4);
  } else {
    MESSAGE("not tested: this kernel has no UDP_SEGMENT or no UDP_GRO");
  }
  // Bytes are limited too.
  batch.clear();
  const Bytes large = numbered(1400, 2);
  for (int i = 0; i < 64; ++i) REQUIRE(batch.add(to, large));
  CHECK(batch.super_datagrams() == 2);
}

TEST_CASE("datagram socket: what ends a super datagram") {
  SendBatch batch;
  const Bytes data = numbered(500, 1);
  Route to{udp::endpoint(make_address("192.0.2.1"), 1), {}, 0};
  const auto add = [&](std::size_t size) {
    REQUIRE(batch.add(to, std::span(data).first(size)));
    return batch.super_datagrams();
  };
  CHECK(add(100) == 1);
  CHECK(add(100) == 1);
  CHECK(add(99) == 1);
  CHECK(add(99) == 2);   // behind a smaller one
  CHECK(add(100) == 3);  // a larger one
  CHECK(add(0) == 4);
  CHECK(add(0) == 5);
  CHECK(add(100) == 6);
  to.traffic_class = 1;
  CHECK(add(100) == 7);
  to.local = make_address("192.0.2.7");
  CHECK(add(100) == 8);
  to.peer.port(2);
  CHECK(add(100) == 9);
  to.peer.address(make_address("192.0.2.2"));
  CHECK(add(100) == 10);
  CHECK(add(100) == 10);
}

TEST_CASE("datagram socket: a full batch takes no more, and what it has is whole") {
  const Socket one("127.0.0.1");
  const Socket two("127.0.0.1");
  DatagramSocket sender(one.fd(), DatagramSocket::Kind::kUdp, false, {});
  DatagramSocket receiver(two.fd(), DatagramSocket::Kind::kUdp, false, {});
  SendBatch batch(16);
  const Bytes data = numbered(20, 3);
  const Route to{two.endpoint(), {}, 0};
  std::array<iovec, SendBatch::kMaximumPieces + 1> pieces;
  for (std::size_t i = 0; i < pieces.size(); ++i) pieces[i] = {const_cast<std::uint8_t*>(data.data() + i), 1};
  CHECK_FALSE(batch.add(to, pieces));  // too many of them, though they would be one
  for (std::size_t i = 0; i < pieces.size(); ++i) pieces[i].iov_base = const_cast<std::uint8_t*>(data.data());
  CHECK(batch.add(to, std::span(pieces).first(16)));
  CHECK(batch.add(to, std::span(pieces).first(16)));
  CHECK_FALSE(batch.add(to, std::span(pieces).first(1)));
  CHECK(batch.datagrams() == 2);
  CHECK(sender.send(batch).sent == 2);
  for (const auto& received : receive(receiver, 2)) CHECK(received.bytes == Bytes(16, data[0]));
  batch.clear();
  CHECK(batch.is_empty());
  CHECK(batch.add(to, data));
}

TEST_CASE_FIXTURE(Fixture, "datagram socket: the traffic class goes and comes, datagram by datagram") {
  for (const char* at : {"127.0.0.1", "::1"}) {
    for (const bool is_connected : {false, true}) {
      const Socket one(at);
      const Socket two(at);
      if (is_connected) REQUIRE(one.connect(two.endpoint()));
      DatagramSocket sender(one.fd(), DatagramSocket::Kind::kUdp, is_connected, wanted);
      DatagramSocket receiver(two.fd(), DatagramSocket::Kind::kUdp, false, wanted);
      SendBatch batch;
      const Bytes data = numbered(100, 1);
      const std::vector<std::uint8_t> classes{0, 1, 2, 3, 3, 3, 0xb8, 0xbb, 0xff, 0, 0};
      for (const auto one_class : classes) REQUIRE(batch.add({two.endpoint(), {}, one_class}, data));
      CHECK(sender.send(batch).sent == classes.size());
      const auto received = receive(receiver, classes.size());
      REQUIRE(received.size() == classes.size());
      for (std::size_t i = 0; i < classes.size(); ++i) CHECK(received[i].route.traffic_class == classes[i]);
    }
  }
}

TEST_CASE_FIXTURE(Fixture,
                  "datagram socket: the address that was spoken to is known, and replies come from it") {
  const auto check = [this](const char* any, const char* spoken_to) {
    CAPTURE(spoken_to);
    const bool is_v6 = make_address(any).is_v6();
    const Socket server(any);
    REQUIRE_FALSE(enable_packet_info(server.fd(), is_v6));
    const Socket client(is_v6 ? "::1" : "127.0.0.1");
    DatagramSocket server_io(server.fd(), DatagramSocket::Kind::kUdp, false, wanted);
    DatagramSocket client_io(client.fd(), DatagramSocket::Kind::kUdp, false, wanted);
    const Bytes data = numbered(300, 1);
    SendBatch batch;
    for (int i = 0; i < 3; ++i)
      REQUIRE(batch.add({{make_address(spoken_to), server.endpoint().port()}, {}, 2}, data));
    CHECK(client_io.send(batch).sent == 3);
    const auto received = receive(server_io, 3);
    REQUIRE(received.size() == 3);
    for (const auto& one : received) CHECK(one.route.local == make_address(spoken_to));
    batch.clear();
    for (int i = 0; i < 3; ++i) REQUIRE(batch.add(received[0].route, data));
    CHECK(server_io.send(batch).sent == 3);
    const auto replies = receive(client_io, 3);
    REQUIRE(replies.size() == 3);
    for (const auto& one : replies) {
      CHECK(one.route.peer == udp::endpoint(make_address(spoken_to), server.endpoint().port()));
      CHECK(one.route.traffic_class == 2);
    }
  };
  check("0.0.0.0", "127.0.0.7");
  check("0.0.0.0", "127.0.0.1");
  check("::", "::1");
}

TEST_CASE("datagram socket: a datagram that does not fit is marked") {
  const Socket one("127.0.0.1");
  const Socket two("127.0.0.1");
  DatagramSocket sender(one.fd(), DatagramSocket::Kind::kUdp, false, {});
  DatagramSocket receiver(two.fd(), DatagramSocket::Kind::kUdp, false, Offloads::none());
  SendBatch send;
  const Bytes data = numbered(3000, 1);
  for (const std::size_t size : {2048U, 2049U, 3000U, 3U})
    REQUIRE(send.add({two.endpoint(), {}, 0}, std::span(data).first(size)));
  CHECK(sender.send(send).sent == 4);
  ReceiveBatch batch(64, 2048);
  std::vector<bool> truncated;
  for (int tries = 0; tries < 100 && truncated.size() < 4; ++tries) {
    REQUIRE_FALSE(receiver.receive(batch));
    for (auto& entry : batch.entries()) truncated.push_back(entry.is_truncated);
    if (batch.size() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CHECK(truncated == std::vector<bool>{false, true, true, false});
}

TEST_CASE_FIXTURE(Fixture, "datagram socket: who nobody answers is an error of a connected socket, once") {
  const Socket one("127.0.0.1");
  udp::endpoint gone;
  {
    const Socket two("127.0.0.1");
    gone = two.endpoint();
  }
  REQUIRE(one.connect(gone));
  DatagramSocket io(one.fd(), DatagramSocket::Kind::kUdp, true, wanted);
  const Bytes data = numbered(100, 1);
  SendBatch send;
  for (int i = 0; i < 3; ++i) REQUIRE(send.add({}, data));
  io.send(send);
  ReceiveBatch batch(4, 2048);
  boost::system::error_code error;
  for (int tries = 0; tries < 100 && !error; ++tries) {
    error = io.receive(batch);
    CHECK(batch.size() == 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CHECK(error == boost::system::errc::connection_refused);
  // The error that is pending costs no datagram.
  const auto result = io.send(send);
  CHECK(result.sent + result.failed == 3);
  CHECK(result.sent >= 1);
}

TEST_CASE_FIXTURE(Fixture, "datagram socket: one that cannot be sent costs no other") {
  const Socket one("127.0.0.1");
  const Socket two("127.0.0.1");
  DatagramSocket sender(one.fd(), DatagramSocket::Kind::kUdp, false, wanted);
  DatagramSocket receiver(two.fd(), DatagramSocket::Kind::kUdp, false, wanted);
  SendBatch batch;
  const Bytes data = numbered(100, 1);
  const Bytes too_large(65508, 1);
  const Route good{two.endpoint(), {}, 0};
  REQUIRE(batch.add(good, data));
  REQUIRE(batch.add(good, too_large));
  REQUIRE(batch.add(good, data));
  REQUIRE(batch.add({udp::endpoint(make_address("::1"), 9), {}, 0}, data));  // not of this socket's family
  REQUIRE(batch.add(good, data));
  const auto result = sender.send(batch);
  CHECK(result.sent == 3);
  CHECK(result.failed == 2);
  CHECK_FALSE(result.is_queue_full);
  CHECK(result.error);
  CHECK(receive(receiver, 3).size() == 3);
}

TEST_CASE_FIXTURE(Fixture,
                  "datagram socket: what the kernel does not cut goes one by one, and is remembered") {
  const int result = test::in_own_network([this] {
    if (!test::ip("link set lo up mtu 1300")) return 1;
    const Socket one("127.0.0.1");
    const Socket two("127.0.0.1");
    DatagramSocket sender(one.fd(), DatagramSocket::Kind::kUdp, false, wanted);
    DatagramSocket receiver(two.fd(), DatagramSocket::Kind::kUdp, false, wanted);
    SendBatch batch;
    // Larger than the path: the kernel fragments datagrams, but does not cut super datagrams of such.
    const Bytes large = numbered(1400, 1);
    const Bytes small = numbered(1200, 2);
    const Route to{two.endpoint(), {}, 1};
    for (int round = 0; round < 3; ++round) {
      batch.clear();
      for (int i = 0; i < 20; ++i)
        if (!batch.add(to, large)) return 2;
      for (int i = 0; i < 20; ++i)
        if (!batch.add(to, small)) return 3;
      const auto sent = sender.send(batch);
      if (sent.sent != 40 || sent.failed != 0 || sent.error) return 4;
      const auto received = receive(receiver, 40);
      if (received.size() != 40) return 5;
      for (std::size_t i = 0; i < 40; ++i)
        if (received[i].bytes != (i < 20 ? large : small) || received[i].route.traffic_class != 1) return 6;
    }
    return sender.granted().udp_segment == wanted.udp_segment ? 0 : 7;
  });
  if (result < 0) {
    MESSAGE("not tested: needs the privilege to create a network namespace");
    return;
  }
  CHECK(result == 0);
}

TEST_CASE_FIXTURE(Fixture, "datagram socket: a kernel that refuses every super datagram loses none") {
  // Without checksums no super datagram is cut.
  const Socket one("127.0.0.1");
  const Socket two("127.0.0.1");
  const int on = 1;
  REQUIRE(::setsockopt(one.fd(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on) == 0);
  DatagramSocket sender(one.fd(), DatagramSocket::Kind::kUdp, false, wanted);
  DatagramSocket receiver(two.fd(), DatagramSocket::Kind::kUdp, false, wanted);
  SendBatch batch;
  const Bytes data = numbered(700, 1);
  std::vector<Bytes> expected;
  for (std::size_t i = 0; i < 150; ++i) expected.push_back(numbered(i % 50 == 49 ? 20 : 700, i));
  for (const auto& datagram : expected) {
    auto* bytes = const_cast<std::uint8_t*>(datagram.data());
    const std::array<iovec, 3> pieces{{{bytes, 7}, {bytes + 7, 0}, {bytes + 7, datagram.size() - 7}}};
    REQUIRE(batch.add({two.endpoint(), {}, 0}, pieces));
  }
  for (int round = 0; round < 5; ++round) {
    const auto result = sender.send(batch);
    CHECK(result.sent == 150);
    CHECK_FALSE(result.error);
    const auto received = receive(receiver, 150);
    REQUIRE(received.size() == 150);
    for (std::size_t i = 0; i < 150; ++i) REQUIRE(received[i].bytes == expected[i]);
  }
}

TEST_CASE_FIXTURE(Fixture, "datagram socket: a full queue ends the call and is told") {
  const int result = test::in_own_network([this] {
    // What waits for a neighbour that never answers fills the socket's buffer.
    if (!test::ip("link add full0 type veth peer name full1")) return 255;
    if (!test::ip("link set full1 up") || !test::ip("link set full0 up") ||
        !test::ip("addr add 192.0.2.1/24 dev full0")) {
      return 1;
    }
    const Socket one("192.0.2.1", 10000);
    DatagramSocket sender(one.fd(), DatagramSocket::Kind::kUdp, false, wanted);
    SendBatch batch;
    const Bytes data = numbered(1000, 1);
    for (int i = 0; i < 300; ++i)
      if (!batch.add({udp::endpoint(make_address("192.0.2.9"), 9), {}, 0}, data)) return 2;
    const auto sent = sender.send(batch);
    if (sent.sent + sent.failed != 300 || sent.failed == 0) return 3;
    return sent.is_queue_full && sent.error ? 0 : 4;
  });
  if (result < 0) {
    MESSAGE("not tested: needs the privilege to create interfaces");
    return;
  }
  CHECK(result == 0);
}

TEST_CASE("datagram socket: raw sockets go through the same, without segmentation") {
  const int result = test::in_own_network([] {
    if (!test::ip("link set lo up")) return 1;
    const auto near =
        open_raw_tunnel(RawTunnel::kIpv6InIpv4, make_address("127.0.0.1"), make_address("127.0.0.2"));
    const auto far = open_raw_tunnel(RawTunnel::kIpv6InIpv4, make_address("127.0.0.2"), address());
    if (!near || !far) return 255;
    DatagramSocket sender(*near, DatagramSocket::Kind::kRaw, true, {});
    DatagramSocket receiver(*far, DatagramSocket::Kind::kRaw, false, {});
    if (sender.granted() != Offloads::none()) return 2;
    SendBatch batch;
    const Bytes data = numbered(500, 1);
    for (int i = 0; i < 100; ++i)
      if (!batch.add({{}, {}, 3}, data)) return 3;
    if (sender.send(batch).sent != 100) return 4;
    const auto received = receive(receiver, 100);
    if (received.size() != 100) return 5;
    for (const auto& one : received) {
      if (one.bytes.size() != 520 || !std::equal(data.begin(), data.end(), one.bytes.begin() + 20)) return 6;
      if (one.route.peer.address() != make_address("127.0.0.1")) return 7;
      if (one.route.local != make_address("127.0.0.2") || one.route.traffic_class != 3) return 8;
    }
    // And answers to where it came from.
    DatagramSocket answerer(*far, DatagramSocket::Kind::kRaw, false, {});
    batch.clear();
    if (!batch.add(received[0].route, data) || answerer.send(batch).sent != 1) return 9;
    return receive(sender, 1).size() == 1 ? 0 : 10;
  });
  if (result < 0) {
    MESSAGE("not tested: needs the privilege to open raw sockets");
    return;
  }
  CHECK(result == 0);
}
