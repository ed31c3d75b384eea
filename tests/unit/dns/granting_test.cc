// SPDX-License-Identifier: BSD-3-Clause
// What a client is told of its name and of the delegation it asks for.
#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include "registry/broker/granter.h"
#include "tests/unit/net/ipv6_packet.h"

using namespace sixlink;
using namespace sixlink::registry;
using boost::asio::ip::make_address;

namespace {

Config usual_config() {
  Config made;
  made.leases.prefix = *net::Prefix::parse("2001:db8:42::/48");
  made.leases.anonymous_prefix = true;
  made.dns.update_server = "192.0.2.53";
  made.dns.user_domain = made.dns.user_zone = "users.example.net";
  return made;
}

struct Fixture {
  boost::asio::io_context io;
  Config config;
  Store store = open();
  LeaseBook book = LeaseBook::load(store, config.leases).value();
  TunnelServer tunnels{{config.leases.prefix, test::v6("2001:db8:42::1"), 1280}};
  Granter granter{io.get_executor(), config, book, tunnels};

  explicit Fixture(Config with = usual_config()) : config(std::move(with)) {}
  static Store open() {
    auto opened = Store::open(":memory:");
    REQUIRE(opened.has_value());
    REQUIRE(opened->add_user({"alice", "sixlink", std::string(16, 'x'), 1}).value());
    REQUIRE(opened->add_user({"Alice", "sixlink", std::string(16, 'x'), 1}).value());
    return *std::move(opened);
  }
  Granter::Answer ask(const std::string& user, std::vector<std::string> servers, int length = 56) {
    tsp::CreateRequest request;
    request.mode = tsp::Mode::kV6UdpV4;
    request.client_address = make_address("192.168.1.2");
    if (length > 0) {
      request.is_router = true;
      request.prefix_length = length;
      request.dns_servers = std::move(servers);
    }
    Granter::Answer answer = 0;
    const Requester who{user, tsp::Transport::kRudp, make_address("192.0.2.1"), ++port,
                        make_address("198.51.100.1")};
    granter.request(request, who, 1700000000, [&](Granter::Answer given) { answer = std::move(given); });
    io.restart();
    io.poll();
    return answer;
  }
  int status(const std::string& user, std::vector<std::string> servers) {
    const auto answer = ask(user, std::move(servers));
    return std::holds_alternative<int>(answer) ? std::get<int>(answer) : 200;
  }
  std::uint16_t port = 4000;
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("granter: a user is told the name, an anonymous client has none") {
  Fixture fixture;
  CHECK(std::get<tsp::TunnelInfo>(fixture.ask("alice", {}, 0)).client_name == "alice.users.example.net");
  const auto other = std::get<tsp::TunnelInfo>(fixture.ask("Alice", {}, 0)).client_name;
  CHECK(other.starts_with("alice-x"));
  CHECK(other.ends_with(".users.example.net"));
  CHECK(std::get<tsp::TunnelInfo>(fixture.ask("", {}, 0)).client_name.empty());
}

TEST_CASE("granter: the name servers of a router's prefix are kept with the lease") {
  Fixture fixture;
  CHECK(fixture.status("alice", {"NS1.example.net", "2001:db8:42::53"}) == 200);
  const auto servers = [&] { return fixture.book.leases().begin()->second.name_servers; };
  CHECK(servers() == Names{"ns1.example.net", "2001:db8:42::53"});
  // As a host it keeps the prefix, and what was delegated with it.
  fixture.ask("alice", {}, 0);
  CHECK(servers().size() == 2);
  CHECK(fixture.status("alice", {}) == 200);
  CHECK(servers().empty());
}

TEST_CASE("granter: status 509 for what cannot be delegated, and nothing is granted") {
  Fixture fixture;
  CHECK(fixture.status("", {"2001:db8:42::53"}) == tsp::kDnsDelegationError);
  CHECK(fixture.status("", {"ns1.example.net", "192.168.1.1"}) == tsp::kDnsDelegationError);
  CHECK(fixture.status("alice", {"192.168.1.1"}) == tsp::kDnsDelegationError);
  CHECK(fixture.status("alice", {"ns_1.example.net"}) == tsp::kDnsDelegationError);
  CHECK(fixture.book.size() == 0);
  CHECK(fixture.status("", {"ns1.example.net"}) == 200);
}

TEST_CASE("granter: a registry that publishes nothing gives the tunnel without the delegation") {
  Config config = usual_config();
  config.dns = {};
  Fixture fixture(config);
  CHECK(fixture.status("alice", {"ns1.example.net"}) == 200);
  CHECK(fixture.status("", {"192.168.1.1"}) == 200);
  CHECK(std::get<tsp::TunnelInfo>(fixture.ask("alice", {}, 0)).client_name.empty());
  for (const auto& [id, lease] : fixture.book.leases()) CHECK(lease.name_servers.empty());
}
