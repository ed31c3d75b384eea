// SPDX-License-Identifier: BSD-3-Clause
// Two ends of a link of the mesh: src/datapath/wireguard_tunnel.h with a MeshFilter, over real sockets.
#include <doctest/doctest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>

#include "src/datapath/wireguard_tunnel.h"
#include "src/wireguard/keys.h"
#include "tests/unit/datapath/memory_queue.h"
#include "tests/unit/net/ipv6_packet.h"

using namespace sixlink;
using namespace sixlink::datapath;
using boost::asio::ip::udp;
using sixlink::test::ipv6_packet;
using sixlink::test::v6;
using Bytes = std::vector<std::uint8_t>;

namespace {

constexpr auto kPatience = std::chrono::seconds(10);

int open_socket(const udp::endpoint& local, const udp::endpoint* remote) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  REQUIRE(::bind(fd, local.data(), static_cast<socklen_t>(local.size())) == 0);
  if (remote) REQUIRE(::connect(fd, remote->data(), static_cast<socklen_t>(remote->size())) == 0);
  return fd;
}

udp::endpoint free_endpoint() {
  boost::asio::io_context io;
  return udp::socket(io, udp::endpoint(boost::asio::ip::address_v4::loopback(), 0)).local_endpoint();
}

struct End {
  wireguard::SecretKey key = wireguard::generate_private_key();
  udp::endpoint place = free_endpoint();
  int inside = -1;
  std::unique_ptr<WireguardTunnel> tunnel;
  std::vector<Bytes> control;
  std::vector<Bytes> strays;
  std::vector<udp::endpoint> moved_to;
  int handshakes = 0;

  ~End() {
    tunnel.reset();
    if (inside >= 0) ::close(inside);
  }

  void start(boost::asio::io_context& io, const End& other, const char* own, bool begins) {
    MeshFilter filter;
    filter.network = *net::Prefix::parse("2001:db8:42::/48");
    filter.own = *net::Prefix::parse(own);
    WireguardTunnel::Events events;
    events.on_packet = [this](std::span<const std::uint8_t> packet) {
      const auto payload = mesh_control_payload(packet);
      control.emplace_back(payload.begin(), payload.end());
    };
    events.on_socket_error = [](const auto&) {};
    events.on_interface_error = [](const auto&) {};
    events.on_handshake = [this] { ++handshakes; };
    events.on_stray = [this](std::span<std::uint8_t> datagram, const udp::endpoint&) {
      strays.emplace_back(datagram.begin(), datagram.end());
    };
    events.open_socket = [this](const udp::endpoint& remote) {
      moved_to.push_back(remote);
      return open_socket(place, &remote);
    };
    std::vector<std::unique_ptr<platform::TunQueue>> queues;
    queues.push_back(std::make_unique<test::MemoryQueue>(inside));
    tunnel = std::make_unique<WireguardTunnel>(io.get_executor(), std::move(queues),
                                               open_socket(place, &other.place),
                                               WireguardTunnel::Settings{key.duplicate(),
                                                                         wireguard::public_key_of(other.key),
                                                                         other.place,
                                                                         {*net::Prefix::parse("::/0")},
                                                                         filter,
                                                                         1420,
                                                                         {},
                                                                         platform::Offloads::none(),
                                                                         begins,
                                                                         LaneRoom::kSmall},
                                               std::move(events));
  }

  // The kernel's side.
  void sends(const Bytes& packet) const { ::send(inside, packet.data(), packet.size(), 0); }
  Bytes receives() const {
    Bytes packet(4096);
    const auto size = ::recv(inside, packet.data(), packet.size(), MSG_DONTWAIT);
    packet.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return packet;
  }
};

struct Link {
  explicit Link() {
    // The one that waits first.
    b.start(io, a, "2001:db8:42:b::/64", false);
    a.start(io, b, "2001:db8:42:a::/64", true);
  }
  template <typename Condition>
  bool run_until(Condition&& condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() >= end) return false;
      io.restart();
      io.run_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  bool establish() {
    return run_until([&] { return a.handshakes > 0 && b.handshakes > 0; });
  }

  boost::asio::io_context io;
  End a;
  End b;
};

const char* const kA = "2001:db8:42:a::1";
const char* const kB = "2001:db8:42:b::1";

}  // namespace

TEST_CASE("mesh tunnel: both ends learn of the handshake, and packets of the network pass") {
  Link link;
  REQUIRE(link.establish());
  link.a.sends(ipv6_packet(kA, kB));
  Bytes got;
  CHECK(link.run_until([&] { return !(got = link.b.receives()).empty(); }));
  CHECK(got == ipv6_packet(kA, kB));
  // Counted behind the system call.
  CHECK(link.run_until([&] { return link.a.tunnel->traffic().sent == 1; }));
  CHECK(link.b.tunnel->traffic().received >= 1);
}

TEST_CASE("mesh tunnel: what is not of the network does not") {
  Link link;
  REQUIRE(link.establish());
  link.a.sends(ipv6_packet("2001:db8:99::1", kB));
  link.a.sends(ipv6_packet(kA, "2001:db8:99::1"));
  const auto drops = [&](Drop reason) {
    return link.a.tunnel->counters().drops[static_cast<std::size_t>(reason)];
  };
  CHECK(link.run_until([&] { return drops(Drop::kForeignSource) == 1 && drops(Drop::kForeignTarget) == 1; }));
  // What the other end lets through this one looks at again: nobody else has our own addresses.
  link.a.sends(ipv6_packet(kB, kA));
  CHECK(link.run_until(
      [&] { return link.b.tunnel->counters().drops[static_cast<std::size_t>(Drop::kForeignSource)] == 1; }));
  CHECK(link.b.receives().empty());
}

TEST_CASE("mesh tunnel: a control message goes from node to node, past the interface") {
  Link link;
  REQUIRE(link.establish());
  const Bytes message{0xF1, 1, 2, 3};
  link.a.tunnel->send(make_mesh_control(v6("fe80::1"), message));
  CHECK(link.run_until([&] { return !link.b.control.empty(); }));
  REQUIRE(link.b.control.size() == 1);
  CHECK(link.b.control.front() == message);
  CHECK(link.b.receives().empty());
  // It is none of what the interface sent.
  CHECK(link.a.tunnel->traffic().sent == 0);
  CHECK(link.b.tunnel->traffic().received >= 1);
  // A machine on the link cannot speak in its node's name.
  link.a.sends(make_mesh_control(v6("fe80::2"), message));
  link.a.sends(ipv6_packet(kA, kB));
  CHECK(link.run_until([&] { return !link.b.receives().empty(); }));
  CHECK(link.b.control.size() == 1);
}

TEST_CASE("mesh tunnel: what is not WireGuard's on the link's socket is handed over") {
  Link link;
  REQUIRE(link.establish());
  const Bytes negotiation{0xF0, 9, 9};
  link.a.tunnel->send_beside(negotiation);
  CHECK(link.run_until([&] { return !link.b.strays.empty(); }));
  CHECK(link.b.strays.front() == negotiation);
}

TEST_CASE("mesh tunnel: a peer that has moved is followed") {
  Link link;
  REQUIRE(link.establish());
  // The node's main socket, which gets what no link's does.
  const int main_socket = open_socket(link.b.place, nullptr);
  const auto elsewhere = free_endpoint();
  link.a.tunnel->replace_socket(open_socket(elsewhere, &link.b.place));
  link.a.sends(ipv6_packet(kA, kB));
  const auto hand_over = [&] {
    Bytes datagram(4096);
    udp::endpoint from;
    auto length = static_cast<socklen_t>(from.capacity());
    const auto size =
        ::recvfrom(main_socket, datagram.data(), datagram.size(), MSG_DONTWAIT, from.data(), &length);
    if (size <= 0) return;
    from.resize(length);
    datagram.resize(static_cast<std::size_t>(size));
    // Somebody else's first: it moves nothing.
    auto damaged = datagram;
    damaged.back() ^= 1;
    CHECK_FALSE(link.b.tunnel->input(damaged, udp::endpoint(boost::asio::ip::address_v4::loopback(), 9)));
    CHECK(link.b.tunnel->input(datagram, from));
  };
  CHECK(link.run_until([&] {
    hand_over();
    return !link.b.moved_to.empty();
  }));
  REQUIRE_FALSE(link.b.moved_to.empty());
  CHECK(link.b.moved_to.front() == elsewhere);
  CHECK(link.b.tunnel->endpoint() == elsewhere);
  link.b.sends(ipv6_packet(kB, kA));
  CHECK(link.run_until([&] { return !link.a.receives().empty(); }));
  ::close(main_socket);
}
