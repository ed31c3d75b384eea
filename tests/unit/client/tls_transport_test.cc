// SPDX-License-Identifier: BSD-3-Clause
// Two ends over the loopback interface, and strangers who connect to one of them.
#include "src/client/tls_transport.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <optional>
#include <random>

#include "src/client/tls_connection.h"
#include "src/log/log.h"
#include "tests/unit/net/run_coroutine.h"

using namespace sixlink;
using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using client::TlsTransport;

namespace {

using Bytes = std::vector<std::uint8_t>;

std::shared_ptr<spdlog::logger> quiet_log() {
  log::LogConfig config;
  config.console = 0;
  config.stderr_level = 0;
  std::string problem;
  return log::make_logger("test", config, problem);
}

client::TlsSettings any_port() {
  client::TlsSettings settings;
  settings.ports = {0};
  settings.handshake_limit = 2000ms;
  return settings;
}

bool wait_readable(int fd, int milliseconds = 5000) {
  pollfd wait{fd, POLLIN, 0};
  return ::poll(&wait, 1, milliseconds) == 1;
}

std::optional<Bytes> receive(int fd) {
  if (!wait_readable(fd)) return std::nullopt;
  Bytes buffer(65536);
  const auto size = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (size < 0) return std::nullopt;
  buffer.resize(static_cast<std::size_t>(size));
  return buffer;
}

bool send(int fd, const Bytes& bytes) {
  return ::send(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
}

// A listener, and whoever has connected to it.
struct World {
  boost::asio::io_context io;
  std::shared_ptr<spdlog::logger> log = quiet_log();
  std::vector<int> accepted;
  std::vector<tcp::endpoint> peers;
  std::vector<int> connected;
  std::vector<boost::system::error_code> failures;
  TlsTransport server;
  TlsTransport client;

  explicit World(client::TlsSettings settings = any_port())
      : server(io, settings, *log,
               [this](int fd, const tcp::endpoint& peer) {
                 accepted.push_back(fd);
                 peers.push_back(peer);
               }),
        client(io, {{}, 64, 8, 2000ms, 60000ms}, *log, [](int fd, const tcp::endpoint&) { ::close(fd); }) {
    ::signal(SIGPIPE, SIG_IGN);
    REQUIRE(server.listening_ports().size() == 1);
  }
  ~World() {
    for (const int fd : accepted) ::close(fd);
    for (const int fd : connected) ::close(fd);
  }
  tcp::endpoint address() const {
    return {boost::asio::ip::make_address("127.0.0.1"), server.listening_ports().front()};
  }
  template <typename Condition>
  bool until(Condition condition) {
    return test::run_until(io, condition);
  }
  void begin(const tcp::endpoint& peer) {
    client.connect(peer, [this](boost::system::result<int> result) {
      if (result) {
        connected.push_back(*result);
      } else {
        failures.push_back(result.error());
      }
    });
  }
  // Both ends; the first datagram has come.
  bool connect() {
    const auto before = accepted.size();
    begin(address());
    const auto number = connected.size() + 1;
    if (!until([&] { return connected.size() == number; })) return false;
    if (!send(connected.back(), {1, 2, 3})) return false;
    if (!until([&] { return accepted.size() == before + 1; })) return false;
    return receive(accepted.back()) == Bytes{1, 2, 3};
  }
};

}  // namespace

TEST_CASE("tls transport: datagrams of every size come whole, both ways") {
  World world;
  REQUIRE(world.connect());
  CHECK(world.peers.front().address() == boost::asio::ip::make_address("127.0.0.1"));
  for (const std::size_t size : {1, 2, 148, 1280, 1452, 9000, 16382}) {
    CAPTURE(size);
    Bytes bytes(size, static_cast<std::uint8_t>(size));
    REQUIRE(send(world.connected[0], bytes));
    CHECK(receive(world.accepted[0]) == bytes);
    bytes[0] ^= 1;
    REQUIRE(send(world.accepted[0], bytes));
    CHECK(receive(world.connected[0]) == bytes);
  }
  // Longer ones are lost, and nothing else.
  REQUIRE(send(world.connected[0], Bytes(16383, 1)));
  REQUIRE(send(world.connected[0], Bytes{4}));
  CHECK(receive(world.accepted[0]) == Bytes{4});
}

TEST_CASE("tls transport: a burst comes in order, and what has no room is lost, not the connection") {
  World world;
  REQUIRE(world.connect());
  std::uint32_t sent = 0;
  std::uint32_t received = 0;
  std::uint32_t last = 0;
  bool is_ordered = true;
  const auto take = [&](int patience) {
    while (wait_readable(world.accepted[0], patience)) {
      const auto bytes = receive(world.accepted[0]);
      REQUIRE(bytes);
      REQUIRE(bytes->size() == 1400);
      std::uint32_t number = 0;
      std::memcpy(&number, bytes->data(), sizeof number);
      is_ordered = is_ordered && (received == 0 || number > last);
      last = number;
      ++received;
    }
  };
  Bytes bytes(1400);
  for (int i = 0; i < 100; ++i) {
    for (int j = 0; j < 50; ++j) {
      std::memcpy(bytes.data(), &sent, sizeof sent);
      if (send(world.connected[0], bytes)) ++sent;
    }
    take(received < sent ? 5 : 0);
  }
  take(300);
  CHECK(is_ordered);
  CHECK(received > 2500);
  // Far more than there is room for: the reader sleeps.
  for (int i = 0; i < 20000; ++i) send(world.connected[0], bytes);
  take(300);
  REQUIRE(send(world.connected[0], Bytes(1400, 0xFF)));
  take(300);
  CHECK(last == 0xFFFFFFFF);
  CHECK(world.server.counters().open == 1);
}

TEST_CASE("tls transport: the end of one side is told to the other") {
  World world;
  REQUIRE(world.connect());
  ::close(world.connected[0]);
  world.connected.clear();
  // The closed socket is noticed with the next datagram.
  REQUIRE(send(world.accepted[0], {1}));
  CHECK(world.until([&] { return world.server.counters().open == 0; }));
  CHECK(world.until([&] { return world.client.counters().open == 0; }));
  bool is_refused = false;
  for (int i = 0; i < 50 && !is_refused; ++i) {
    is_refused = ::send(world.accepted[0], "x", 1, 0) < 0 && errno == ECONNREFUSED;
    ::usleep(10000);
  }
  CHECK(is_refused);
}

TEST_CASE("tls transport: nobody there, and somebody who says nothing, are errors in time") {
  World world;
  tcp::acceptor silent(world.io, {boost::asio::ip::make_address("127.0.0.1"), 0});
  world.begin(silent.local_endpoint());
  tcp::endpoint closed;
  {
    const tcp::acceptor gone(world.io, {boost::asio::ip::make_address("127.0.0.1"), 0});
    closed = gone.local_endpoint();
  }
  world.begin(closed);
  REQUIRE(world.until([&] { return world.failures.size() == 2; }));
  CHECK(world.failures[0] == boost::asio::error::connection_refused);
  CHECK(world.failures[1] == boost::system::errc::timed_out);
  CHECK(world.until([&] { return world.client.counters().open == 0; }));
}

TEST_CASE("tls transport: strangers are survived, and cost no descriptor of ours") {
  World world;
  std::mt19937 random(1);
  for (int i = 0; i < 20; ++i) {
    tcp::socket socket(world.io);
    socket.connect(world.address());
    Bytes bytes(random() % 3000 + 1);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    if (i % 3 == 0) std::copy_n("\x16\x03\x01\x02\x00\x01", 6, bytes.data());
    if (i % 3 == 1) bytes = {'G', 'E', 'T', ' ', '/', '\r', '\n', '\r', '\n'};
    boost::system::error_code ignored;
    boost::asio::write(socket, boost::asio::buffer(bytes), ignored);
    ::usleep(2000);
  }
  CHECK(world.until([&] { return world.server.counters().open == 0; }));
  CHECK(world.accepted.empty());
  CHECK(world.connect());
}

TEST_CASE("tls transport: one address has a few connections, and a silent one goes in time") {
  auto settings = any_port();
  settings.most_per_address = 3;
  settings.handshake_limit = 700ms;
  World world(settings);
  std::vector<tcp::socket> idle;
  for (int i = 0; i < 5; ++i) {
    idle.emplace_back(world.io);
    idle.back().connect(world.address());
  }
  CHECK(world.until([&] { return world.server.counters().refused == 2; }));
  CHECK(world.server.counters().open == 3);
  // TLS is not enough: there must be a datagram.
  CHECK(world.until([&] { return world.server.counters().open == 0; }));
  world.begin(world.address());
  REQUIRE(world.until([&] { return world.connected.size() == 1; }));
  CHECK(world.until([&] { return world.server.counters().open == 0; }));
  CHECK(world.accepted.empty());
  CHECK(world.connect());
}

TEST_CASE("tls transport: a frame that is too long ends its connection alone") {
  World world;
  REQUIRE(world.connect());
  // A client of its own, which frames as it likes.
  pki::TlsContext context;
  tcp::socket socket(world.io);
  socket.connect(world.address());
  pki::TlsSession session(context, socket.native_handle(), true);
  REQUIRE(session.handshake() == pki::TlsSession::Status::kDone);
  std::size_t size = 0;
  REQUIRE(session.write(Bytes{0, 1, 9, 0x7F, 0xFF, 1, 2, 3}, size) == pki::TlsSession::Status::kDone);
  REQUIRE(world.until([&] { return world.accepted.size() == 2; }));
  CHECK(world.until([&] { return world.server.counters().open == 1; }));
  CHECK(world.server.counters().failed == 1);
  Bytes rest(100);
  CHECK(session.read(rest, size) == pki::TlsSession::Status::kClosed);
  REQUIRE(send(world.connected[0], {5}));
  CHECK(receive(world.accepted[0]) == Bytes{5});
}

TEST_CASE("tls transport: an idle connection ends") {
  auto settings = any_port();
  settings.idle_limit = 500ms;
  World world(settings);
  REQUIRE(world.connect());
  CHECK(world.server.counters().open == 1);
  CHECK(world.until([&] { return world.server.counters().open == 0; }));
}

TEST_CASE("tls transport: its end comes whatever is under way") {
  auto world = std::make_unique<World>();
  REQUIRE(world->connect());
  world->begin(world->address());
  world->begin({boost::asio::ip::make_address("192.0.2.1"), 9});
  world.reset();
}

TEST_CASE("tls transport: a port that is taken costs a warning, not the rest") {
  World world;
  client::TlsSettings settings;
  settings.ports = {world.server.listening_ports().front(), 0};
  const TlsTransport second(world.io, settings, *world.log,
                            [](int fd, const tcp::endpoint&) { ::close(fd); });
  CHECK(second.listening_ports().size() == 1);
}
