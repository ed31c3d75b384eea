// SPDX-License-Identifier: BSD-3-Clause
#include "registry/wireguard_service.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <deque>

#include "tests/unit/net/ipv6_packet.h"

using namespace sixlink;
using namespace sixlink::registry;
using sixlink::test::ipv6_packet;
using sixlink::test::Packet;

namespace {

wireguard::SecretKey secret_of(const pki::WireguardKeyPair& pair) {
  const auto bytes = pair.private_bytes();
  return wireguard::SecretKey(
      std::span<const std::uint8_t, 32>(reinterpret_cast<const std::uint8_t*>(bytes.data()), 32));
}

// A client's device, and the wire between it and the service.
struct Fixture {
  boost::asio::io_context io;
  pki::WireguardKeyPair own = *pki::WireguardKeyPair::generate();
  pki::WireguardKeyPair client_key = *pki::WireguardKeyPair::generate();
  wireguard::Endpoint place{{boost::asio::ip::make_address("192.0.2.1"), 4000}, {}};
  std::deque<std::pair<wireguard::Endpoint, std::vector<std::uint8_t>>> to_clients;
  std::vector<std::pair<std::int64_t, Packet>> delivered;
  WireguardService service{io.get_executor(),
                           own,
                           1280,
                           {[this](const wireguard::Endpoint& to, std::span<const std::uint8_t> datagram) {
                              to_clients.emplace_back(
                                  to, std::vector<std::uint8_t>(datagram.begin(), datagram.end()));
                            },
                            [this](std::int64_t lease, std::span<std::uint8_t> packet) {
                              delivered.emplace_back(lease, Packet(packet.begin(), packet.end()));
                            },
                            // The lanes' view is tested with them: here all goes through the device.
                            [](std::int64_t, const wireguard::Device&, wireguard::PeerId) {}}};
  wireguard::Device client{secret_of(client_key), {}};
  wireguard::Actions actions;
  wireguard::PeerId server;

  Fixture() {
    wireguard::PeerConfig peer;
    peer.public_key = own.public_key().bytes;
    peer.endpoint = boost::asio::ip::udp::endpoint(boost::asio::ip::make_address("198.51.100.1"), 3653);
    peer.allowed_ips = {{net::AddressV6(), 0}};
    server = client.add_peer(std::move(peer), wireguard::Clock::now(), actions).value();
  }
  Lease lease(std::int64_t id = 1, const char* address = "2001:db8:42::2") const {
    Lease made;
    made.id = id;
    made.mode = LeaseMode::kWireguard;
    made.address = *net::parse_v6(address);
    made.wireguard_key = client_key.public_key();
    return made;
  }
  // Everything that is under way arrives. What the client received.
  std::vector<Packet> settle() {
    std::vector<Packet> received;
    for (int round = 0; round < 10; ++round) {
      auto sent = std::exchange(actions.datagrams, {});
      for (auto& packet : actions.packets) received.emplace_back(packet.bytes.begin(), packet.bytes.end());
      actions.clear();
      for (auto& datagram : sent) service.input(datagram.bytes, place);
      while (!to_clients.empty()) {
        auto [to, bytes] = to_clients.front();
        to_clients.pop_front();
        if (to.remote == place.remote) client.input(bytes, {to.remote, {}}, wireguard::Clock::now(), actions);
      }
    }
    return received;
  }
  void send(const Packet& packet) { client.send(packet, wireguard::Clock::now(), actions); }
};

}  // namespace

TEST_CASE("wireguard service: its messages are told by their first bytes") {
  using Bytes = std::vector<std::uint8_t>;
  CHECK(is_wireguard(Bytes{1, 0, 0, 0}));
  CHECK(is_wireguard(Bytes{4, 0, 0, 0, 9}));
  for (const auto& other : {Bytes{}, Bytes{1, 0, 0}, Bytes{0, 0, 0, 0}, Bytes{5, 0, 0, 0}, Bytes{1, 0, 1, 0},
                            Bytes{0x60, 0, 0, 0}, Bytes{0xF0, 0, 0, 0xF0}})
    CHECK_FALSE(is_wireguard(other));
}

TEST_CASE_FIXTURE(Fixture,
                  "wireguard service: a lease's client is carried in both directions, once it is there") {
  send(ipv6_packet("2001:db8:42::2", "2001:db8::9"));
  settle();
  CHECK(delivered.empty());  // nobody's key
  CHECK(service.put(lease()).empty());
  CHECK_FALSE(service.send(1, ipv6_packet("2001:db8::9", "2001:db8:42::2")));  // where is it?
  client.connect(server, wireguard::Clock::now() + std::chrono::seconds(6), actions);
  send(ipv6_packet("2001:db8:42::2", "2001:db8::9"));
  settle();
  REQUIRE(delivered.size() >= 1);
  CHECK(delivered[0].first == 1);
  CHECK(delivered[0].second == ipv6_packet("2001:db8:42::2", "2001:db8::9"));
  const auto back = ipv6_packet("2001:db8::9", "2001:db8:42::2");
  CHECK(service.send(1, back));
  const auto received = settle();
  REQUIRE(received.size() == 1);
  CHECK(received[0] == back);
  const auto peers = service.peers();
  REQUIRE(peers.size() == 1);
  CHECK(peers.begin()->first == client_key.public_key());
  CHECK(peers.begin()->second.endpoint == "192.0.2.1:4000");
  CHECK(peers.begin()->second.latest_handshake);
  CHECK(peers.begin()->second.bytes_received > 0);
}

TEST_CASE_FIXTURE(Fixture, "wireguard service: the client moves, and what is sent follows it") {
  service.put(lease());
  send(ipv6_packet("2001:db8:42::2", "2001:db8::9"));
  settle();
  place.remote = {boost::asio::ip::make_address("203.0.113.77"), 999};
  send(ipv6_packet("2001:db8:42::2", "2001:db8::9"));
  settle();
  CHECK(service.peers().begin()->second.endpoint == "203.0.113.77:999");
  service.send(1, ipv6_packet("2001:db8::9", "2001:db8:42::2"));
  CHECK(settle().size() == 1);
}

TEST_CASE_FIXTURE(
    Fixture,
    "wireguard service: addresses that are not the client's are not delivered, also after a change") {
  service.put(lease());
  send(ipv6_packet("2001:db8:42::3", "2001:db8::9"));
  settle();
  CHECK(delivered.empty());
  auto changed = lease();
  changed.prefix = net::Prefix::parse("2001:db8:42:100::/56");
  CHECK(service.put(changed).empty());
  send(ipv6_packet("2001:db8:42:1ff::3", "2001:db8::9"));
  settle();
  CHECK(delivered.size() == 1);
  CHECK(service.put(lease()).empty());
  send(ipv6_packet("2001:db8:42:1ff::3", "2001:db8::9"));
  settle();
  CHECK(delivered.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "wireguard service: with its lease, or with another key, a client is gone") {
  service.put(lease());
  send(ipv6_packet("2001:db8:42::2", "2001:db8::9"));
  settle();
  REQUIRE(delivered.size() == 1);
  auto other_key = lease();
  other_key.wireguard_key = pki::WireguardKeyPair::generate()->public_key();
  CHECK(service.put(other_key).empty());
  CHECK(service.size() == 1);
  send(ipv6_packet("2001:db8:42::2", "2001:db8::9"));
  settle();
  CHECK(delivered.size() == 1);
  auto other_mode = lease();
  other_mode.mode = LeaseMode::kV6UdpV4;
  service.put(other_mode);
  CHECK(service.size() == 0);
  service.remove(99);
  // The server's own key is nobody else's.
  auto own_key = lease(5);
  own_key.wireguard_key = own.public_key();
  CHECK_FALSE(service.put(own_key).empty());
  CHECK(service.size() == 0);
}
