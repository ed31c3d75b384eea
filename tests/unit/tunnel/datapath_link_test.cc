// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/datapath_link.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>

#include "tests/unit/datapath/memory_queue.h"
#include "tests/unit/net/run_coroutine.h"

using namespace sixlink;
using namespace sixlink::tunnel;
using boost::asio::ip::udp;
using sixlink::test::answer_echo;
using sixlink::test::Packet;
using sixlink::test::v6;

namespace {

struct Fixture {
  boost::asio::io_context io;
  udp::socket broker{io, udp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
  udp::endpoint client;
  test::KernelSide kernel;
  std::vector<std::uint16_t> replies;
  std::unique_ptr<DatapathLink> link;

  Fixture() {
    broker.non_blocking(true);
    udp::socket socket(io, udp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    socket.connect(broker.local_endpoint());
    client = socket.local_endpoint();
    TunnelParameters parameters;
    parameters.client_inner = v6("2001:db8:f:f::2");
    LinkEvents events;
    events.on_echo_reply = [this](const net::EchoReply& reply) { replies.push_back(reply.sequence); };
    events.on_outer_error = [](const boost::system::error_code&) {};
    events.on_interface_error = [](const boost::system::error_code&) {};
    std::vector<std::unique_ptr<platform::TunQueue>> queues;
    queues.push_back(std::make_unique<test::MemoryQueue>(kernel.slot()));
    link = std::make_unique<DatapathLink>(io.get_executor(), std::move(queues), socket.release(), parameters,
                                          v6("2001:db8:f:f::1"), platform::Offloads{}, std::move(events));
  }
  std::optional<Packet> at_broker() {
    Packet packet(65536);
    boost::system::error_code error;
    packet.resize(broker.receive(boost::asio::buffer(packet), 0, error));
    if (error) return std::nullopt;
    return packet;
  }
  Packet sent() {
    std::optional<Packet> packet;
    REQUIRE(test::run_until(io, [&] { return (packet = at_broker()).has_value(); }));
    return *packet;
  }
  // Delivers it, and waits until it came out of the tunnel and what it means was told.
  void deliver(const Packet& packet) {
    broker.send_to(boost::asio::buffer(packet), client);
    REQUIRE(test::run_until(io, [&] { return kernel.receive().has_value(); }));
    io.restart();
    io.run_for(std::chrono::milliseconds(20));
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "datapath link: an echo goes to the keepalive address, and its reply is told") {
  link->send_echo({7, 1, 0x0102030405060708ULL, 0});
  const auto echo = sent();
  CHECK(echo.size() == 56);
  CHECK(test::slow_icmpv6_checksum(echo) == 0);
  deliver(answer_echo(echo));
  CHECK(replies == std::vector<std::uint16_t>{1});
  // Our own echoes are not the user's traffic.
  CHECK(link->counters()->packets_out == 0);
  CHECK(link->counters()->packets_in == 1);
}

TEST_CASE_FIXTURE(Fixture, "datapath link: replies of others, to others, or damaged are not told") {
  link->send_echo({7, 1, 1, 0});
  const auto echo = sent();
  auto other = echo;
  other[24 + 15] = 9;  // from another address than the one asked
  deliver(answer_echo(other));
  auto damaged = answer_echo(echo);
  damaged[43] = static_cast<std::uint8_t>(damaged[43] ^ 1);
  deliver(damaged);
  CHECK(replies.empty());
  deliver(answer_echo(echo));
  CHECK(replies.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "datapath link: probes have the size that was asked, up to what a path can have") {
  for (const std::size_t size : {1280, 1472, 1500}) {
    link->send_echo({7, 2, 1, size});
    CHECK(sent().size() == size);
  }
  link->send_echo({7, 2, 1, 9000});
  CHECK(sent().size() == net::IcmpPacket::kLargest);
}

TEST_CASE_FIXTURE(Fixture, "datapath link: the socket can be taken back, and the tunnel is then silent") {
  const int socket = link->release_socket();
  udp::socket again(io);
  again.assign(udp::v4(), socket);
  CHECK(again.local_endpoint() == client);
  CHECK(again.remote_endpoint() == broker.local_endpoint());
  kernel.send(test::ipv6_packet("2001:db8:f:f::2", "2001:db8::9"));
  io.restart();
  io.run_for(std::chrono::milliseconds(50));
  CHECK_FALSE(at_broker());
  link.reset();
  CHECK(again.send(boost::asio::buffer("x", 1)) == 1);
}
