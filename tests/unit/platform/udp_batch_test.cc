// SPDX-License-Identifier: BSD-3-Clause
// platform/<os>/udp_batch.cc, over the loopback interface; and the way one by one of systems that have no
// call for many (platform/posix/message_batch.h), which must not differ.
#include <doctest/doctest.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <chrono>
#include <cstring>
#include <set>
#include <thread>

#include "platform/platform.h"
#include "platform/posix/pktinfo.h"

using namespace sixlink::platform;
using boost::asio::ip::address;
using boost::asio::ip::make_address;
using boost::asio::ip::udp;

namespace {

struct Fixture {
  boost::asio::io_context io;
  DatagramBatch batch;
  bool is_one_by_one = false;

  Fixture() {
    SUBCASE("many a call") {}
    SUBCASE("one by one") {
      is_one_by_one = true;
    }
  }
  boost::system::error_code receive_batch(int fd, DatagramBatch& into) const {
    return is_one_by_one ? posix::receive_one_by_one<posix::PktInfo>(fd, into)
                         : sixlink::platform::receive_batch(fd, into);
  }
  std::size_t send_batch(int fd, DatagramBatch& from, bool connected,
                         boost::system::error_code& error) const {
    return is_one_by_one ? posix::send_one_by_one<posix::PktInfo>(fd, from, connected, error)
                         : sixlink::platform::send_batch(fd, from, connected, error);
  }
  boost::system::error_code enable_packet_info(int fd, bool is_v6) const {
    return is_one_by_one ? posix::enable_packet_info<posix::PktInfo>(fd, is_v6)
                         : sixlink::platform::enable_packet_info(fd, is_v6);
  }

  udp::socket socket(const char* at) {
    udp::socket made(io);
    const udp::endpoint endpoint(make_address(at), 0);
    made.open(endpoint.protocol());
    made.bind(endpoint);
    return made;
  }
  // Loopback delivers at once, but not always before the next system call.
  boost::system::error_code receive(udp::socket& from) {
    for (int i = 0; i < 200; ++i) {
      const auto error = receive_batch(from.native_handle(), batch);
      if (error || batch.count > 0) return error;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return boost::asio::error::timed_out;
  }
  void fill(std::size_t i, std::size_t size, const udp::endpoint& peer = {}, const address& local = {}) {
    const auto buffer = batch.buffer(i);
    std::memset(buffer.data(), static_cast<int>(i + 1), size);
    batch[i].data = buffer.data();
    batch[i].size = size;
    batch[i].peer = peer;
    batch[i].local = local;
    batch.count = i + 1;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "udp batch: nothing there is no error") {
  auto receiver = socket("127.0.0.1");
  batch.count = 7;
  CHECK_FALSE(receive_batch(receiver.native_handle(), batch));
  CHECK(batch.count == 0);
}

TEST_CASE_FIXTURE(Fixture, "udp batch: a full batch goes out and comes in, in order and unchanged") {
  auto receiver = socket("127.0.0.1");
  auto sender = socket("127.0.0.1");
  for (std::size_t i = 0; i < DatagramBatch::kCapacity; ++i) fill(i, i * 20, receiver.local_endpoint());
  boost::system::error_code error;
  CHECK(send_batch(sender.native_handle(), batch, false, error) == DatagramBatch::kCapacity);
  CHECK_FALSE(error);
  std::size_t seen = 0;
  while (seen < DatagramBatch::kCapacity) {
    REQUIRE_FALSE(receive(receiver));
    for (std::size_t i = 0; i < batch.count; ++i, ++seen) {
      REQUIRE(batch[i].size == seen * 20);
      CHECK_FALSE(batch[i].is_truncated);
      CHECK(batch[i].peer == sender.local_endpoint());
      for (std::size_t n = 0; n < batch[i].size; ++n) REQUIRE(batch[i].data[n] == seen + 1);
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "udp batch: a datagram that does not fit is marked, the next ones are whole") {
  auto receiver = socket("127.0.0.1");
  auto sender = socket("127.0.0.1");
  for (const std::size_t size :
       {DatagramBatch::kBufferSize, DatagramBatch::kBufferSize + 1, std::size_t{30000}, std::size_t{3}}) {
    sender.send_to(boost::asio::buffer(std::string(size, 'x')), receiver.local_endpoint());
  }
  std::vector<std::pair<std::size_t, bool>> seen;
  while (seen.size() < 4) {
    REQUIRE_FALSE(receive(receiver));
    for (std::size_t i = 0; i < batch.count; ++i) seen.emplace_back(batch[i].size, batch[i].is_truncated);
  }
  CHECK_FALSE(seen[0].second);
  CHECK(seen[0].first == 2048);
  CHECK(seen[1].second);
  CHECK(seen[2].second);
  CHECK_FALSE(seen[3].second);
  CHECK(seen[3].first == 3);
}

TEST_CASE_FIXTURE(Fixture, "udp batch: the address that was spoken to is known, and replies come from it") {
  const auto check = [this](const char* any, const char* spoken_to) {
    CAPTURE(spoken_to);
    const bool is_v6 = make_address(any).is_v6();
    auto server = socket(any);
    REQUIRE_FALSE(enable_packet_info(server.native_handle(), is_v6));
    auto client = socket(is_v6 ? "::1" : "127.0.0.1");
    const udp::endpoint to(make_address(spoken_to), server.local_endpoint().port());
    client.send_to(boost::asio::buffer("x", 1), to);
    REQUIRE_FALSE(receive(server));
    REQUIRE(batch.count == 1);
    CHECK(batch[0].local == to.address());
    const auto peer = batch[0].peer;
    fill(0, 1, peer, to.address());
    boost::system::error_code error;
    REQUIRE(send_batch(server.native_handle(), batch, false, error) == 1);
    REQUIRE_FALSE(receive(client));
    CHECK(batch[0].peer == to);
    // Without packet info asked for, none is there.
    CHECK(batch[0].local.is_unspecified());
  };
  check("0.0.0.0", "127.0.0.1");
  check("0.0.0.0", "127.0.0.77");
  boost::system::error_code error;
  udp::socket probe(io, udp::v6());
  probe.bind({boost::asio::ip::address_v6::loopback(), 0}, error);
  if (error) {
    MESSAGE("not tested over IPv6: no ::1 here");
    return;
  }
  check("::", "::1");
}

TEST_CASE_FIXTURE(Fixture, "udp batch: a connected socket reports that nobody listens") {
  udp::endpoint nowhere;
  { nowhere = socket("127.0.0.1").local_endpoint(); }
  auto sender = socket("127.0.0.1");
  sender.connect(nowhere);
  fill(0, 10);
  boost::system::error_code error;
  CHECK(send_batch(sender.native_handle(), batch, true, error) == 1);
  CHECK(receive(sender) == boost::asio::error::connection_refused);
  CHECK(batch.count == 0);
  // Told once; the socket still works.
  CHECK_FALSE(receive_batch(sender.native_handle(), batch));
}

TEST_CASE_FIXTURE(Fixture, "udp batch: what ICMP told of an earlier datagram costs no later one") {
  udp::endpoint place;
  { place = socket("127.0.0.1").local_endpoint(); }
  auto sender = socket("127.0.0.1");
  sender.connect(place);
  boost::system::error_code error;
  fill(0, 10);
  CHECK(send_batch(sender.native_handle(), batch, true, error) == 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  // Now somebody listens; the refusal is still to be told.
  udp::socket receiver(io, place);
  CHECK(send_batch(sender.native_handle(), batch, true, error) == 1);
  CHECK(error == boost::asio::error::connection_refused);
  CHECK_FALSE(receive(receiver));
  CHECK(batch.count == 1);
}

TEST_CASE_FIXTURE(Fixture, "udp batch: one datagram that cannot be sent does not stop the others") {
  auto receiver = socket("127.0.0.1");
  auto sender = socket("127.0.0.1");
  const auto good = receiver.local_endpoint();
  fill(0, 10, good);
  fill(1, 10, {make_address("127.0.0.1"), 0});  // no such port
  fill(2, 10, good);
  fill(3, 10, {make_address("255.255.255.255"), 9});  // broadcast is not allowed on this socket
  fill(4, 10, good);
  boost::system::error_code error;
  CHECK(send_batch(sender.native_handle(), batch, false, error) == 3);
  CHECK(error);
  std::set<int> seen;
  while (seen.size() < 3) {
    REQUIRE_FALSE(receive(receiver));
    for (std::size_t i = 0; i < batch.count; ++i) seen.insert(batch[i].data[0]);
  }
  CHECK(seen == std::set<int>{1, 3, 5});
}

TEST_CASE_FIXTURE(Fixture, "udp batch: a full queue ends the batch and is the reason") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
  boost::system::error_code error;
  std::size_t sent = 0;
  for (int round = 0; round < 100 && !error; ++round) {
    for (std::size_t i = 0; i < DatagramBatch::kCapacity; ++i) fill(i, 2000);
    sent += send_batch(ends[0], batch, true, error);
  }
  CHECK(error == boost::asio::error::would_block);
  CHECK(sent > 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("platform: random bytes fill all of it and differ") {
  std::array<std::uint8_t, 600> first{};
  std::array<std::uint8_t, 600> second{};
  random_bytes(first);
  random_bytes(second);
  CHECK(first != second);
  CHECK(std::set<std::uint8_t>(first.begin(), first.end()).size() > 200);
  random_bytes({});
}

TEST_CASE("platform: the program's directory is where it is") {
  const auto directory = program_directory();
  REQUIRE_FALSE(directory.empty());
  CHECK(directory.front() == '/');
  CHECK(directory.back() != '/');
}
