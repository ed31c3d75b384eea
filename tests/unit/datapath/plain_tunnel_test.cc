// SPDX-License-Identifier: BSD-3-Clause
#include "src/datapath/plain_tunnel.h"

#include <doctest/doctest.h>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include "tests/unit/datapath/memory_queue.h"
#include "tests/unit/net/run_coroutine.h"

using namespace sixlink;
using namespace sixlink::datapath;
using namespace std::chrono_literals;
using boost::asio::ip::udp;
using sixlink::test::ipv6_packet;
using sixlink::test::Packet;
using sixlink::test::v6;

namespace {

constexpr const char* kOurs = "2001:db8:f:f::2";
constexpr const char* kOther = "2001:db8::9";
constexpr const char* kKeepalive = "2001:db8:f:f::1";

struct Fixture {
  boost::asio::io_context io;
  udp::socket broker{io, udp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
  udp::endpoint client;
  test::KernelSide kernel;
  test::MemoryQueue* tun = nullptr;
  std::unique_ptr<PlainTunnel> tunnel;
  std::vector<boost::system::error_code> socket_errors;
  std::vector<boost::system::error_code> interface_errors;
  std::function<void(std::span<const std::uint8_t>)> on_packet = [](auto) {};

  Fixture() {
    broker.non_blocking(true);
    udp::socket socket(io, udp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    socket.connect(broker.local_endpoint());
    client = socket.local_endpoint();
    auto device = std::make_unique<test::MemoryQueue>(kernel.slot());
    tun = device.get();
    std::vector<std::unique_ptr<platform::TunQueue>> queues;
    queues.push_back(std::move(device));
    PlainTunnel::Events events;
    events.on_packet = [this](std::span<const std::uint8_t> packet) { on_packet(packet); };
    events.on_socket_error = [this](const boost::system::error_code& error) {
      socket_errors.push_back(error);
    };
    events.on_interface_error = [this](const boost::system::error_code& error) {
      interface_errors.push_back(error);
    };
    tunnel = std::make_unique<PlainTunnel>(
        io.get_executor(), std::move(queues), socket.release(),
        PlainTunnel::Settings{Encapsulation::kUdp, InnerFilter(v6(kOurs), std::nullopt), 1280, v6(kKeepalive),
                              platform::Offloads{}},
        std::move(events));
  }
  void from_broker(const Packet& packet) { broker.send_to(boost::asio::buffer(packet), client); }
  std::optional<Packet> at_broker() {
    Packet packet(65536);
    boost::system::error_code error;
    packet.resize(broker.receive(boost::asio::buffer(packet), 0, error));
    if (error) return std::nullopt;
    return packet;
  }
  std::uint64_t dropped(Drop reason) const {
    return tunnel->counters().drops[static_cast<std::size_t>(reason)];
  }
  std::uint64_t all_dropped() const {
    std::uint64_t sum = 0;
    for (const auto count : tunnel->counters().drops) sum += count;
    return sum;
  }
  // Handles `count` more packets, dropped ones too.
  bool settle(std::uint64_t count) {
    const auto handled = [this] {
      return tunnel->counters().packets_in + tunnel->counters().packets_out + all_dropped();
    };
    return test::run_until(io, [&, goal = settled_ += count] { return handled() >= goal; });
  }

 private:
  std::uint64_t settled_ = 0;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "plain tunnel: packets go both ways unchanged and are counted") {
  const auto outgoing = ipv6_packet(kOurs, kOther, 777);
  const auto incoming = ipv6_packet(kOther, kOurs, 1280);
  REQUIRE(kernel.send(outgoing));
  from_broker(incoming);
  REQUIRE(settle(2));
  CHECK(at_broker() == outgoing);
  CHECK(kernel.receive() == incoming);
  const auto& counters = tunnel->counters();
  CHECK(counters.packets_out == 1);
  CHECK(counters.bytes_out == 777);
  CHECK(counters.packets_in == 1);
  CHECK(counters.bytes_in == 1280);
  CHECK(all_dropped() == 0);
  CHECK(tunnel->interface_name() == "memory0");
}

TEST_CASE_FIXTURE(Fixture, "plain tunnel: more than many batches at once, in order") {
  constexpr std::size_t kCount = 600;
  for (std::size_t i = 0; i < kCount; ++i) {
    from_broker(ipv6_packet(kOther, kOurs, 48 + i));
    std::optional<Packet> received;
    REQUIRE(test::run_until(io, [&] { return (received = kernel.receive()).has_value(); }));
    REQUIRE(received->size() == 48 + i);
  }
  // Faster than they are taken.
  for (std::size_t i = 0; i < kCount; ++i) from_broker(ipv6_packet(kOther, kOurs, 48));
  std::size_t delivered = 0;
  CHECK(test::run_until(io, [&] {
    while (kernel.receive()) ++delivered;
    return tunnel->counters().packets_in == 2 * kCount;
  }));
}

TEST_CASE_FIXTURE(Fixture, "plain tunnel: a burst from the interface leaves whole and in order") {
  // As many as the broker's receive buffer holds.
  constexpr std::size_t kCount = 150;
  for (std::size_t i = 0; i < kCount; ++i) REQUIRE(kernel.send(ipv6_packet(kOurs, kOther, 48 + i % 100)));
  std::size_t seen = 0;
  CHECK(test::run_until(io, [&] {
    while (const auto packet = at_broker()) CHECK(packet->size() == 48 + seen++ % 100);
    return seen == kCount;
  }));
}

TEST_CASE_FIXTURE(Fixture, "plain tunnel: sources that are not ours do not leave and are counted") {
  kernel.send(ipv6_packet("2001:db8:f:f::3", kOther));
  kernel.send(ipv6_packet("fe80::1", "ff02::2"));
  kernel.send(Packet{0x45, 1, 2, 3});
  kernel.send(ipv6_packet(kOurs, kOther, 1281));
  kernel.send(ipv6_packet(kOurs, kOther, 1280));
  REQUIRE(settle(5));
  CHECK(dropped(Drop::kForeignSource) == 1);
  CHECK(dropped(Drop::kLocalScope) == 1);
  CHECK(dropped(Drop::kMalformed) == 1);
  CHECK(dropped(Drop::kTooBig) == 1);
  CHECK(at_broker()->size() == 1280);
  CHECK_FALSE(at_broker());
}

TEST_CASE_FIXTURE(
    Fixture, "plain tunnel: what comes in wrong is dropped and counted, and the next good packet passes") {
  from_broker(ipv6_packet(kOurs, kOurs));               // claims to be us
  from_broker(ipv6_packet(kOther, "2001:db8:f:f::3"));  // for someone else
  from_broker(ipv6_packet("fe80::1", "ff02::1"));
  from_broker({});  // empty datagram
  from_broker({0x60});
  from_broker(test::from_hex("f00000f200000000323030"));  // RUDP
  from_broker({0x01, 0, 0, 0});                           // WireGuard
  from_broker(ipv6_packet(kOther, kOurs, 100));
  REQUIRE(settle(8));
  CHECK(dropped(Drop::kForeignSource) == 1);
  CHECK(dropped(Drop::kForeignTarget) == 1);
  CHECK(dropped(Drop::kLocalScope) == 1);
  CHECK(dropped(Drop::kMalformed) == 3);
  CHECK(dropped(Drop::kControl) == 1);
  CHECK(kernel.receive()->size() == 100);
  CHECK_FALSE(kernel.receive());
  CHECK(socket_errors.empty());
}

TEST_CASE_FIXTURE(Fixture, "plain tunnel: a stranger's datagrams do not reach a connected socket") {
  udp::socket stranger(io, udp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  stranger.send_to(boost::asio::buffer(ipv6_packet(kOther, kOurs, 99)), client);
  from_broker(ipv6_packet(kOther, kOurs, 100));
  REQUIRE(settle(1));
  CHECK(kernel.receive()->size() == 100);
  CHECK_FALSE(kernel.receive());
}

TEST_CASE_FIXTURE(
    Fixture, "plain tunnel: the caller sees the keepalive address's ICMP, and the interface gets it too") {
  std::vector<std::size_t> seen;
  on_packet = [&](std::span<const std::uint8_t> packet) { seen.push_back(packet.size()); };
  const auto icmp = [](const char* source, std::size_t size) {
    auto packet = ipv6_packet(source, kOurs, size);
    packet[6] = net::kNextHeaderIcmpv6;
    return packet;
  };
  for (const std::size_t size : {50, 51, 52}) from_broker(icmp(kKeepalive, size));
  from_broker(icmp(kOther, 60));
  auto no_icmp = icmp(kKeepalive, 70);
  no_icmp[6] = 59;  // no next header
  from_broker(no_icmp);
  REQUIRE(settle(5));
  REQUIRE(test::run_until(io, [&] { return seen.size() == 3; }));
  CHECK(seen == std::vector<std::size_t>{50, 51, 52});
  for (const std::size_t size : {50, 51, 52, 60, 70}) CHECK(kernel.receive()->size() == size);
  io.restart();
  io.run_for(20ms);
  CHECK(seen.size() == 3);
}

TEST_CASE_FIXTURE(Fixture, "plain tunnel: send() sends the caller's own packet") {
  const auto packet = ipv6_packet(kOurs, kOther, 56);
  tunnel->send(packet);
  REQUIRE(test::run_until(io, [&] { return at_broker() == packet; }));
  CHECK(tunnel->counters().packets_out == 0);
}

TEST_CASE_FIXTURE(Fixture, "plain tunnel: a refusing broker is reported, and the tunnel goes on") {
  const auto address = broker.local_endpoint();
  broker.close();
  REQUIRE(kernel.send(ipv6_packet(kOurs, kOther)));
  REQUIRE(test::run_until(io, [&] { return !socket_errors.empty(); }));
  CHECK(socket_errors.front() == boost::asio::error::connection_refused);
  CHECK(interface_errors.empty());
  // It comes back at the same place.
  broker = udp::socket(io, address);
  broker.non_blocking(true);
  const auto packet = ipv6_packet(kOurs, kOther, 100);
  REQUIRE(test::run_until(io, [&] {
    kernel.send(packet);
    return at_broker() == packet;
  }));
  from_broker(ipv6_packet(kOther, kOurs, 101));
  std::optional<Packet> received;
  CHECK(test::run_until(io, [&] { return (received = kernel.receive()).has_value(); }));
  CHECK(received->size() == 101);
}

TEST_CASE_FIXTURE(Fixture, "plain tunnel: the end of the interface ends it, once") {
  kernel.close();
  REQUIRE(test::run_until(io, [&] { return !interface_errors.empty(); }));
  CHECK(interface_errors.front().value() == EBADFD);
  io.restart();
  io.run_for(50ms);
  CHECK(interface_errors.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "plain tunnel: a packet that the interface refuses costs that packet only") {
  tun->write_error = EINVAL;
  from_broker(ipv6_packet(kOther, kOurs, 70));
  REQUIRE(test::run_until(io, [&] { return dropped(Drop::kSendFailed) == 1; }));
  CHECK(interface_errors.empty());
  tun->write_error = 0;
  from_broker(ipv6_packet(kOther, kOurs, 71));
  std::optional<Packet> received;
  CHECK(test::run_until(io, [&] { return (received = kernel.receive()).has_value(); }));
  CHECK(received->size() == 71);

  tun->write_error = EIO;
  from_broker(ipv6_packet(kOther, kOurs, 72));
  REQUIRE(test::run_until(io, [&] { return !interface_errors.empty(); }));
  CHECK(interface_errors.front().value() == EIO);
}

TEST_CASE_FIXTURE(Fixture, "plain tunnel: no event comes after its end, whatever was under way") {
  bool was_called = false;
  on_packet = [&](auto) { was_called = true; };
  from_broker(ipv6_packet(kOther, kOurs));
  kernel.send(ipv6_packet(kOurs, kOther));
  kernel.close();
  tunnel.reset();
  io.restart();
  io.run_for(50ms);
  CHECK_FALSE(was_called);
  CHECK(socket_errors.empty());
  CHECK(interface_errors.empty());
  // The loop has nothing left of it.
  io.restart();
  CHECK(io.run_for(10ms) == 0);
}

TEST_CASE_FIXTURE(Fixture,
                  "plain tunnel: while its socket is lent the borrower reads, and the tunnel goes on") {
  udp::socket borrowed(io);
  borrowed.assign(udp::v4(), tunnel->lend_socket());
  borrowed.non_blocking(true);
  CHECK(borrowed.local_endpoint() == client);
  CHECK(tunnel->lend_socket() == -1);  // to one at a time
  // What comes is the borrower's ...
  from_broker(ipv6_packet(kOther, kOurs));
  Packet packet(2048);
  boost::system::error_code error;
  REQUIRE(test::run_until(io, [&] {
    const auto size = borrowed.receive(boost::asio::buffer(packet), 0, error);
    if (!error) packet.resize(size);
    return !error;
  }));
  CHECK_FALSE(kernel.receive());
  // ... who hands over what is the tunnel's.
  tunnel->input(packet);
  CHECK(kernel.receive() == ipv6_packet(kOther, kOurs));
  CHECK(tunnel->counters().packets_in == 1);
  // Outgoing packets go as before.
  REQUIRE(kernel.send(ipv6_packet(kOurs, kOther)));
  CHECK(test::run_until(io, [&] { return at_broker().has_value(); }));
  // What came before it was given back is not lost.
  from_broker(ipv6_packet(kOther, kOurs));
  tunnel->take_socket_back();
  borrowed.close();
  CHECK(test::run_until(io, [&] { return kernel.receive().has_value(); }));
  from_broker(ipv6_packet(kOther, kOurs));
  CHECK(test::run_until(io, [&] { return kernel.receive().has_value(); }));
  // It ends while the socket is lent.
  udp::socket last(io);
  last.assign(udp::v4(), tunnel->lend_socket());
  tunnel.reset();
  CHECK(last.send(boost::asio::buffer("x", 1)) == 1);
}
