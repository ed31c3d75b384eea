// SPDX-License-Identifier: BSD-3-Clause
// platform/posix/one_by_one.h: how systems without offloads send and receive what a batch has. Over the
// loopback interface.
#include "platform/posix/one_by_one.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "platform/platform.h"
#include "platform/posix/pktinfo.h"

using namespace sixlink::platform;
using boost::asio::ip::make_address;
using boost::asio::ip::udp;
using Bytes = std::vector<std::uint8_t>;

namespace {

class Socket {
 public:
  explicit Socket(const char* at) {
    const udp::endpoint endpoint(make_address(at), 0);
    one.is_v6 = endpoint.address().is_v6();
    one.fd = ::socket(endpoint.protocol().family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    REQUIRE(one.fd >= 0);
    REQUIRE(::bind(one.fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0);
    posix::enable_traffic_class(one.fd, one.is_v6);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { ::close(one.fd); }
  udp::endpoint endpoint() const {
    udp::endpoint found;
    auto size = static_cast<socklen_t>(found.capacity());
    ::getsockname(one.fd, found.data(), &size);
    found.resize(size);
    return found;
  }
  SendResult send(SendBatch& batch) {
    SendResult result;
    posix::send_messages<posix::PktInfo>(one, batch.scratch(), batch.super_datagrams(), traffic_class,
                                         result);
    return result;
  }

  posix::OneByOneSocket one;
  std::atomic<int> traffic_class{0};
};

struct Inbox {
  static constexpr std::size_t kSize = 2048;
  Bytes storage = Bytes(64 * kSize);
  std::vector<ReceiveBatch::Entry> entries = std::vector<ReceiveBatch::Entry>(64);
  std::size_t count = 0;
  Inbox() {
    for (std::size_t i = 0; i < entries.size(); ++i) entries[i].data = &storage[i * kSize];
  }
  boost::system::error_code receive(const Socket& from) {
    for (int tries = 0; tries < 100; ++tries) {
      const auto error = posix::receive_entries<posix::PktInfo>(from.one.fd, entries, kSize, count);
      if (error || count > 0) return error;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return {};
  }
};

}  // namespace

TEST_CASE("one by one: a batch arrives as it was added, with traffic classes, in order") {
  for (const char* at : {"127.0.0.1", "::1"}) {
    Socket sender(at);
    Socket receiver(at);
    SendBatch batch;
    Bytes data(1500);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 3 + i / 256);
    std::vector<std::size_t> sizes;
    for (std::size_t i = 0; i < 60; ++i) {
      sizes.push_back(i % 20 == 19 ? 7 : i % 20 == 18 ? 0 : 700 + i / 20);
      const std::array<iovec, 3> pieces{{{data.data(), sizes[i] / 3},
                                         {data.data() + sizes[i] / 3, 0},
                                         {data.data() + sizes[i] / 3, sizes[i] - sizes[i] / 3}}};
      REQUIRE(batch.add({receiver.endpoint(), {}, static_cast<std::uint8_t>(i / 10)}, pieces));
    }
    CHECK(batch.super_datagrams() < 20);
    const auto result = sender.send(batch);
    CHECK(result.sent == 60);
    CHECK_FALSE(result.error);
    Inbox inbox;
    std::size_t seen = 0;
    while (seen < 60) {
      REQUIRE_FALSE(inbox.receive(receiver));
      REQUIRE(inbox.count > 0);
      for (std::size_t i = 0; i < inbox.count; ++i, ++seen) {
        const auto& entry = inbox.entries[i];
        REQUIRE(entry.size == sizes[seen]);
        REQUIRE(entry.segment_size == entry.size);
        REQUIRE(entry.datagrams() == 1);
        CHECK(std::equal(entry.data, entry.data + entry.size, data.data()));
        CHECK(entry.route.traffic_class == seen / 10);
        CHECK(entry.route.peer == sender.endpoint());
        CHECK_FALSE(entry.is_truncated);
      }
    }
  }
}

TEST_CASE("one by one: the local address is known and kept") {
  Socket server("0.0.0.0");
  REQUIRE_FALSE(enable_packet_info(server.one.fd, false));
  Socket client("127.0.0.1");
  const Bytes data(100, 1);
  const udp::endpoint to(make_address("127.0.0.9"), server.endpoint().port());
  SendBatch batch;
  REQUIRE(batch.add({to, {}, 0}, data));
  CHECK(client.send(batch).sent == 1);
  Inbox inbox;
  REQUIRE_FALSE(inbox.receive(server));
  REQUIRE(inbox.count == 1);
  CHECK(inbox.entries[0].route.local == to.address());
  batch.clear();
  REQUIRE(batch.add(inbox.entries[0].route, data));
  CHECK(server.send(batch).sent == 1);
  REQUIRE_FALSE(inbox.receive(client));
  REQUIRE(inbox.count == 1);
  CHECK(inbox.entries[0].route.peer == to);
}

TEST_CASE("one by one: too large is marked or refused, and costs no other") {
  Socket sender("127.0.0.1");
  Socket receiver("127.0.0.1");
  SendBatch batch;
  const Bytes data(70000, 1);
  const Route to{receiver.endpoint(), {}, 0};
  for (const std::size_t size : {Inbox::kSize, Inbox::kSize + 1, std::size_t{65508}, std::size_t{3}})
    REQUIRE(batch.add(to, std::span(data).first(size)));
  const auto result = sender.send(batch);
  CHECK(result.sent == 3);
  CHECK(result.error == boost::system::errc::message_size);
  Inbox inbox;
  REQUIRE_FALSE(inbox.receive(receiver));
  REQUIRE(inbox.count == 3);
  CHECK_FALSE(inbox.entries[0].is_truncated);
  CHECK(inbox.entries[1].is_truncated);
  CHECK(inbox.entries[1].size == Inbox::kSize);
  CHECK_FALSE(inbox.entries[2].is_truncated);
}

TEST_CASE("one by one: a full queue ends it, and an error that waits costs no datagram") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  SendBatch batch(4096);
  const Bytes data(100, 1);
  for (int i = 0; i < 4000; ++i) REQUIRE(batch.add({}, data));
  SendResult result;
  std::atomic<int> traffic_class{0};
  posix::send_messages<posix::PktInfo>({ends[0], false, true}, batch.scratch(), batch.super_datagrams(),
                                       traffic_class, result);
  CHECK(result.is_queue_full);
  CHECK(result.sent < 4000);
  ::close(ends[0]);
  ::close(ends[1]);

  Socket one("127.0.0.1");
  udp::endpoint gone;
  {
    const Socket two("127.0.0.1");
    gone = two.endpoint();
  }
  REQUIRE(::connect(one.one.fd, gone.data(), static_cast<socklen_t>(gone.size())) == 0);
  one.one.is_connected = true;
  SendBatch single;
  REQUIRE(single.add({}, data));
  CHECK(one.send(single).sent == 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(one.send(single).sent == 1);  // the first call says ECONNREFUSED
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  Inbox inbox;
  CHECK(inbox.receive(one) == boost::system::errc::connection_refused);
}
