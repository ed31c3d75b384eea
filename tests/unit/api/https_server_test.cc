// SPDX-License-Identifier: BSD-3-Clause
#include "registry/api/https_server.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/null_sink.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <list>

#include "registry/ca/tls_certificate.h"
#include "tests/unit/pki/mesh_certificates.h"

using namespace sixlink;
using namespace sixlink::registry;
using namespace sixlink::test;
using boost::asio::ip::tcp;

namespace {

struct Served {
  boost::asio::io_context io{1};
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  std::uint16_t port = 0;
  std::unique_ptr<HttpsServer> server;

  explicit Served(const HttpsLimits& limits) {
    server = std::make_unique<HttpsServer>(
        io, log, limits, [](const boost::asio::ip::address&) { return true; },
        [](const std::shared_ptr<const HttpRequest>&, const HttpsServer::Reply& reply) { reply({}); });
    const auto authority = pki::Authority::create(kNetwork, "a network", kYear);
    const auto identity = make_server_identity(authority, {"registry.example.net"}, kYear);
    REQUIRE(server->use_identity(identity.certificate_pem, identity.key_pem).empty());
    // One that was free a moment ago.
    tcp::acceptor free(io, {boost::asio::ip::make_address("127.0.0.1"), 0});
    port = free.local_endpoint().port();
    free.close();
    REQUIRE(server->listen({boost::asio::ip::make_address("0.0.0.0"), port}).empty());
  }
  ~Served() { io.stop(); }

  tcp::socket connect(const char* from) {
    tcp::socket socket(io);
    socket.open(tcp::v4());
    socket.bind({boost::asio::ip::make_address(from), 0});
    socket.connect({boost::asio::ip::make_address("127.0.0.1"), port});
    socket.non_blocking(true);
    io.run_for(std::chrono::milliseconds(20));
    return socket;
  }
};

bool is_closed(tcp::socket& socket) {
  char byte = 0;
  boost::system::error_code error;
  socket.read_some(boost::asio::buffer(&byte, 1), error);
  return error && error != boost::asio::error::would_block;
}

}  // namespace

TEST_CASE("https server: an address has no more connections than it may") {
  HttpsLimits limits;
  limits.connections = 10;
  limits.connections_per_address = 2;
  Served served(limits);
  auto one = served.connect("127.0.0.1");
  auto two = served.connect("127.0.0.1");
  auto three = served.connect("127.0.0.1");
  CHECK(served.server->connections() == 2);
  CHECK(is_closed(three));
  CHECK_FALSE(is_closed(one));
  CHECK_FALSE(is_closed(two));
}

TEST_CASE("https server: whoever holds most of the places does not keep others out") {
  HttpsLimits limits;
  limits.connections = 6;
  limits.connections_per_address = 4;
  Served served(limits);
  std::list<tcp::socket> held;
  for (const char* from : {"127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.2"})
    held.push_back(served.connect(from));
  CHECK(served.server->connections() == 6);
  auto newcomer = served.connect("127.0.0.1");
  CHECK_FALSE(is_closed(newcomer));
  CHECK(served.server->connections() == 6);
  // The one that has waited longest of those of 127.0.0.2.
  CHECK(is_closed(held.front()));
  held.pop_front();
  for (auto& other : held) CHECK_FALSE(is_closed(other));
  // It takes from others what they have more of than it, and no more.
  auto second = served.connect("127.0.0.1");
  auto third = served.connect("127.0.0.1");
  CHECK_FALSE(is_closed(second));
  CHECK(is_closed(third));
  CHECK_FALSE(is_closed(newcomer));
  CHECK(served.server->connections() == 6);
}
