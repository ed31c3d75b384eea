// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/negotiator.h"

#include <doctest/doctest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/write.hpp>

#include "src/tsp/rudp.h"
#include "tests/unit/net/run_coroutine.h"

using namespace sixlink;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using tsp::FailureKind;
using tunnel::Negotiation;

namespace {

// What a server says to a message; nullopt: nothing at all.
using Script = std::function<std::optional<std::string>(std::string_view)>;

std::string info_for(std::string_view mode) {
  tsp::TunnelInfo info;
  info.mode = *tsp::parse_mode(mode);
  info.server_v4 = asio::ip::make_address_v4("192.0.2.1");
  info.client_v4 = asio::ip::make_address_v4("192.0.2.2");
  info.server_v6 = asio::ip::make_address_v6("2001:db8:f:f::1");
  info.client_v6 = asio::ip::make_address_v6("2001:db8:f:f::2");
  return tsp::with_content_length("200 Success\r\n" + info.to_xml());
}

// A broker for anonymous clients.
std::optional<std::string> broker(std::string_view message, std::string_view mode = "v6udpv4") {
  if (message.starts_with("VERSION="))
    return "CAPABILITY TUNNEL=V6V4 TUNNEL=V6UDPV4 AUTH=ANONYMOUS AUTH=PLAIN \r\n";
  if (message.starts_with("AUTHENTICATE ANONYMOUS")) return "200 Success\r\n";
  if (message.starts_with("AUTHENTICATE PLAIN")) return "";
  if (message.find("action=\"create\"") != std::string_view::npos) return info_for(mode);
  if (message.find("action=\"accept\"") != std::string_view::npos) return "";
  return "200 Success\r\n";
}

class FakeRudpServer {
 public:
  FakeRudpServer(asio::io_context& io, const asio::ip::address& at, Script script)
      : socket_(io, udp::endpoint(at, 0)), script_(std::move(script)) {
    receive();
  }
  std::uint16_t port() const { return socket_.local_endpoint().port(); }
  // What precedes each answer on the wire.
  std::vector<std::string> noise;
  std::vector<std::string> messages;
  udp::endpoint peer;
  udp::socket& socket() { return socket_; }

 private:
  void receive() {
    socket_.async_receive_from(
        asio::buffer(buffer_), peer, [this](const boost::system::error_code& error, std::size_t size) {
          if (error) return;
          const auto message = tsp::parse_rudp({buffer_.data(), size});
          if (message) {
            messages.emplace_back(message->text);
            const auto answer = script_(message->text);
            if (answer) {
              for (const auto& datagram : noise) socket_.send_to(asio::buffer(datagram), peer);
              // An old sequence number: a late duplicate.
              socket_.send_to(asio::buffer(tsp::make_rudp({message->header.sequence - 1, 0},
                                                          "300 Authentication failed\r\n")),
                              peer);
              socket_.send_to(asio::buffer(tsp::make_rudp(message->header, *answer)), peer);
            }
          }
          receive();
        });
  }
  udp::socket socket_;
  Script script_;
  std::array<std::uint8_t, 65536> buffer_{};
};

class FakeTcpServer {
 public:
  FakeTcpServer(asio::io_context& io, const asio::ip::address& at, Script script)
      : acceptor_(io, tcp::endpoint(at, 0)), script_(std::move(script)) {
    acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
      if (error) return;
      socket_.emplace(std::move(socket));
      receive();
    });
  }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  bool closes_after_answer = false;
  std::size_t segment = 1 << 20;  // answers are written in pieces of this size
  std::vector<std::string> messages;

 private:
  void receive() {
    socket_->async_read_some(asio::buffer(buffer_),
                             [this](const boost::system::error_code& error, std::size_t size) {
                               if (error || !framer_.append({buffer_.data(), size})) return;
                               while (const auto message = framer_.next()) {
                                 messages.push_back(*message);
                                 const auto answer = script_(*message);
                                 for (std::size_t at = 0; answer && at < answer->size(); at += segment) {
                                   boost::system::error_code ignored;
                                   asio::write(*socket_, asio::buffer(answer->substr(at, segment)), ignored);
                                 }
                                 if (closes_after_answer) {
                                   socket_->close();
                                   return;
                                 }
                               }
                               receive();
                             });
  }
  tcp::acceptor acceptor_;
  std::optional<tcp::socket> socket_;
  Script script_;
  tsp::Framer framer_{tsp::Framer::Side::kServer};
  std::array<char, 4096> buffer_{};
};

struct Fixture {
  asio::io_context io;
  tsp::ClientProfile profile;
  std::vector<std::string> traced;
  int warnings = 0;

  Fixture() {
    profile.server_text = "broker.example.net";
    profile.cnonce = "1234";
    profile.request.mode = tsp::Mode::kV6AnyV4;
  }
  Negotiation negotiate(const char* address, std::uint16_t port, tsp::Transport transport,
                        std::optional<asio::ip::address> source = std::nullopt) {
    return test::run(io,
                     tunnel::negotiate(profile, {asio::ip::make_address(address), port, transport, source},
                                       {[this](char direction, std::string_view text) {
                                          traced.push_back(direction + std::string(text));
                                        },
                                        [this] { ++warnings; }}));
  }
  Negotiation over_udp(Script script) {
    FakeRudpServer server(io, asio::ip::address_v4::loopback(), std::move(script));
    return negotiate("127.0.0.1", server.port(), tsp::Transport::kRudp);
  }
  Negotiation over_tcp(Script script) {
    FakeTcpServer server(io, asio::ip::address_v4::loopback(), std::move(script));
    return negotiate("127.0.0.1", server.port(), tsp::Transport::kTcp);
  }
};

bool has_v6_loopback() {
  asio::io_context io;
  boost::system::error_code error;
  udp::socket probe(io, udp::v6());
  probe.bind({asio::ip::address_v6::loopback(), 0}, error);
  return !error;
}

std::vector<const char*> loopbacks() {
  if (has_v6_loopback()) return {"127.0.0.1", "::1"};
  MESSAGE("not tested over IPv6: no ::1 here");
  return {"127.0.0.1"};
}

FailureKind kind_of(const Negotiation& negotiation) {
  CHECK_FALSE(negotiation.tunnel);
  CHECK_FALSE(negotiation.socket);
  REQUIRE(negotiation.failure);
  CHECK_FALSE(negotiation.failure->message.empty());
  return negotiation.failure->kind;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "negotiator: RUDP ends with the tunnel and the socket that carries it") {
  for (const char* address : loopbacks()) {
    CAPTURE(address);
    FakeRudpServer server(io, asio::ip::make_address(address),
                          [](std::string_view message) { return broker(message); });
    auto result = negotiate(address, server.port(), tsp::Transport::kRudp);
    REQUIRE(result.tunnel);
    CHECK_FALSE(result.failure);
    CHECK(result.tunnel->client_v6.to_string() == "2001:db8:f:f::2");
    CHECK(result.method == "ANONYMOUS");
    CHECK(result.round_trips == 4);
    CHECK(result.local_address.to_string() == address);
    REQUIRE(result.socket);
    CHECK(result.socket->remote_endpoint().port() == server.port());
    CHECK(result.socket->local_endpoint() == server.peer);
    // The same 5-tuple carries packets now.
    result.socket->send(asio::buffer("\xf0 still there", 13));
    CHECK(server.messages.size() == 4);
    if (asio::ip::make_address(address).is_v4()) {
      CHECK(server.messages[2].find("<address type=\"ipv4\">127.0.0.1</address>") != std::string::npos);
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "negotiator: TCP, also when replies come in pieces") {
  for (const char* address : loopbacks()) {
    CAPTURE(address);
    for (const std::size_t segment : {1U, 7U, 100000U}) {
      FakeTcpServer server(io, asio::ip::make_address(address),
                           [](std::string_view message) { return broker(message, "v6v4"); });
      server.segment = segment;
      const auto result = negotiate(address, server.port(), tsp::Transport::kTcp);
      REQUIRE(result.tunnel);
      CHECK(result.tunnel->mode == tsp::Mode::kV6V4);
      CHECK_FALSE(result.socket);
      CHECK(result.round_trips == 4);
      CHECK(result.local_address.to_string() == address);
      CHECK(test::run_until(io, [&] { return server.messages.size() == 4; }));
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "negotiator: nobody listens, and that is known at once") {
  for (const char* address : loopbacks()) {
    CAPTURE(address);
    std::uint16_t udp_port = 0;
    std::uint16_t tcp_port = 0;
    {
      udp_port = udp::socket(io, udp::endpoint(asio::ip::make_address(address), 0)).local_endpoint().port();
      tcp_port = tcp::acceptor(io, tcp::endpoint(asio::ip::make_address(address), 0)).local_endpoint().port();
    }
    const auto started = std::chrono::steady_clock::now();
    const auto by_udp = negotiate(address, udp_port, tsp::Transport::kRudp);
    CHECK(kind_of(by_udp) == FailureKind::kSocket);
    CHECK(by_udp.failure->message == "no broker listens on UDP port " + std::to_string(udp_port));
    const auto by_tcp = negotiate(address, tcp_port, tsp::Transport::kTcp);
    CHECK(kind_of(by_tcp) == FailureKind::kSocket);
    CHECK(by_tcp.failure->message.starts_with("cannot connect over TCP: "));
    CHECK(std::chrono::steady_clock::now() - started < 1s);
  }
}

TEST_CASE_FIXTURE(Fixture,
                  "negotiator: a silent server is asked three times and given up after six seconds") {
  FakeRudpServer server(io, asio::ip::address_v4::loopback(), [](std::string_view) { return std::nullopt; });
  const auto started = std::chrono::steady_clock::now();
  const auto result = negotiate("127.0.0.1", server.port(), tsp::Transport::kRudp);
  const auto took = std::chrono::steady_clock::now() - started;
  CHECK(kind_of(result) == FailureKind::kNoAnswer);
  CHECK(result.failure->message.find("no answer over UDP") != std::string::npos);
  CHECK(took > 5s);
  CHECK(took < 8s);
  CHECK(server.messages.size() >= 3);
  CHECK(server.messages.size() <= 4);
  for (const auto& message : server.messages) CHECK(message == "VERSION=2.0.2\r\n");
}

TEST_CASE_FIXTURE(Fixture, "negotiator: lost datagrams are sent again") {
  int copies = 0;
  const auto result = over_udp([&](std::string_view message) -> std::optional<std::string> {
    if (message.starts_with("AUTHENTICATE") && ++copies == 1) return std::nullopt;
    return broker(message);
  });
  CHECK(result.tunnel);
  CHECK(copies == 2);
}

TEST_CASE_FIXTURE(Fixture, "negotiator: stray datagrams and late duplicates do not disturb") {
  FakeRudpServer server(io, asio::ip::address_v4::loopback(),
                        [](std::string_view message) { return broker(message); });
  server.noise = {"",
                  "x",
                  std::string(8, '\0'),
                  std::string("\xf0\x00\x00\x01"
                              "1234"
                              "500 nonsense\r\n",
                              22),
                  std::string(1400, '\x60'),
                  std::string(60000, 'y')};
  CHECK(negotiate("127.0.0.1", server.port(), tsp::Transport::kRudp).tunnel);
}

TEST_CASE_FIXTURE(Fixture, "negotiator: what is no TSP is refused, at every step, over both transports") {
  const std::string step_starts[] = {"VERSION", "AUTHENTICATE", "Content-length"};
  const std::string garbage[] = {"SSH-2.0-x\r\n",
                                 "\r\n",
                                 "Content-length: -1\r\n\r\n",
                                 "Content-length: 99999999999999999999\r\n",
                                 std::string("\0\xff\xfe\0\n", 5),
                                 "Content-length: 13\r\n200 Success\r\n",
                                 "<tunnel action=\"info\"/>\r\n"};
  for (const auto& step : step_starts) {
    for (const auto& text : garbage) {
      CAPTURE(step);
      CAPTURE(text);
      const Script script = [&](std::string_view message) {
        return message.starts_with(step) ? std::optional(text) : broker(message);
      };
      const auto udp_kind = kind_of(over_udp(script));
      const auto tcp_kind = kind_of(over_tcp(script));
      for (const auto kind : {udp_kind, tcp_kind})
        CHECK((kind == FailureKind::kBadReply || kind == FailureKind::kBadParameters));
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "negotiator: a server that never ends its line is cut off") {
  const auto result = over_tcp([](std::string_view) { return std::string(100000, 'x'); });
  CHECK(kind_of(result) == FailureKind::kBadReply);
  CHECK(result.failure->message == "the broker's reply is malformed or too long");
}

TEST_CASE_FIXTURE(Fixture, "negotiator: a server that closes in the middle") {
  for (const char* last : {"VERSION", "AUTHENTICATE", "Content-length"}) {
    FakeTcpServer server(io, asio::ip::address_v4::loopback(), [&](std::string_view message) {
      if (!message.starts_with(last)) return broker(message);
      server.closes_after_answer = true;
      return std::optional(std::string("Content-le"));
    });
    const auto result = negotiate("127.0.0.1", server.port(), tsp::Transport::kTcp);
    CHECK(kind_of(result) == FailureKind::kSocket);
    CHECK(result.failure->message.find("closed the TCP connection in the middle") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Fixture, "negotiator: a refusal is what the server said") {
  const auto result = over_udp([](std::string_view message) {
    return message.starts_with("AUTHENTICATE") ? std::optional<std::string>("300 Authentication failed\r\n")
                                               : broker(message);
  });
  CHECK(kind_of(result) == FailureKind::kAuthentication);
  CHECK(result.failure->status == 300);
  const auto busy = over_tcp([](std::string_view message) {
    return message.starts_with("Content") ? std::optional(tsp::with_content_length("530 busy\r\n"))
                                          : broker(message);
  });
  CHECK(kind_of(busy) == FailureKind::kBusy);
}

TEST_CASE_FIXTURE(Fixture,
                  "negotiator: the configured source is bound, and one that is not here is reported") {
  FakeRudpServer server(io, asio::ip::address_v4::loopback(),
                        [](std::string_view message) { return broker(message); });
  const auto result =
      negotiate("127.0.0.1", server.port(), tsp::Transport::kRudp, asio::ip::make_address("127.0.0.9"));
  CHECK(result.tunnel);
  CHECK(server.peer.address().to_string() == "127.0.0.9");
  CHECK(result.local_address.to_string() == "127.0.0.9");
  for (const auto transport : {tsp::Transport::kRudp, tsp::Transport::kTcp}) {
    const auto foreign =
        negotiate("127.0.0.1", server.port(), transport, asio::ip::make_address("192.0.2.77"));
    CHECK(kind_of(foreign) == FailureKind::kClientAddress);
    CHECK(foreign.failure->message.find("192.0.2.77, which client_v4 names") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Fixture, "negotiator: the password is not in the trace") {
  const pki::Secret password("s3cret");
  profile.auth = tsp::ClientAuth::kPlain;
  profile.user = "alice";
  profile.password = &password;
  std::string seen;
  const auto result = over_udp([&](std::string_view message) {
    seen += message;
    return broker(message);
  });
  REQUIRE(result.tunnel);
  CHECK(result.method == "PLAIN");
  CHECK(seen.find("s3cret") != std::string::npos);
  CHECK(traced.size() >= 8);
  CHECK(warnings == 0);
  for (const auto& line : traced) CHECK(line.find("s3cret") == std::string::npos);
}

TEST_CASE_FIXTURE(
    Fixture, "negotiator: PLAIN where a stronger method is offered is told of before the password leaves") {
  const pki::Secret password("s3cret");
  profile.auth = tsp::ClientAuth::kPlain;
  profile.user = "alice";
  profile.password = &password;
  int warnings_before_password = -1;
  const auto result = over_udp([&](std::string_view message) -> std::optional<std::string> {
    if (message.starts_with("VERSION=")) return "CAPABILITY TUNNEL=V6UDPV4 AUTH=PLAIN AUTH=DIGEST-MD5 \r\n";
    if (message.find("s3cret") != std::string_view::npos) warnings_before_password = warnings;
    return broker(message);
  });
  CHECK(result.tunnel);
  CHECK(warnings_before_password == 1);
  CHECK(warnings == 1);
}

TEST_CASE_FIXTURE(Fixture, "negotiator: ends early when its caller is cancelled") {
  FakeRudpServer silent_udp(io, asio::ip::address_v4::loopback(),
                            [](std::string_view) { return std::nullopt; });
  FakeTcpServer silent_tcp(io, asio::ip::address_v4::loopback(),
                           [](std::string_view) { return std::nullopt; });
  int ended = 0;
  std::vector<asio::cancellation_signal> cancel(2);
  const auto start = [&](std::size_t i, std::uint16_t port, tsp::Transport transport) {
    asio::co_spawn(
        io, tunnel::negotiate(profile, {asio::ip::address_v4::loopback(), port, transport, std::nullopt}, {}),
        asio::bind_cancellation_slot(cancel[i].slot(),
                                     [&](const std::exception_ptr&, const Negotiation& result) {
                                       CHECK_FALSE(result.tunnel);
                                       ++ended;
                                     }));
  };
  start(0, silent_udp.port(), tsp::Transport::kRudp);
  start(1, silent_tcp.port(), tsp::Transport::kTcp);
  io.run_for(100ms);
  CHECK(ended == 0);
  for (auto& signal : cancel) signal.emit(asio::cancellation_type::terminal);
  CHECK(test::run_until(
      io, [&] { return ended == 2; }, 1s));
}

TEST_CASE_FIXTURE(Fixture, "negotiator: a lease is released through the tunnel's own socket") {
  FakeRudpServer server(io, asio::ip::address_v4::loopback(),
                        [](std::string_view message) { return broker(message); });
  auto granted = negotiate("127.0.0.1", server.port(), tsp::Transport::kRudp);
  REQUIRE(granted.socket);
  const auto endpoint = granted.socket->local_endpoint();
  // Packets of the tunnel that still come are not taken for answers.
  server.noise = {std::string(60, '\x60'), std::string(60, '\x45'), "x"};
  server.messages.clear();
  profile.release = {granted.tunnel->mode, granted.tunnel->client_v6};
  const tunnel::NegotiationTarget target{asio::ip::make_address("127.0.0.1"), server.port(),
                                         tsp::Transport::kTcp, std::nullopt};
  const auto result = test::run(io, tunnel::release_lease(profile, target, std::move(granted.socket)));
  CHECK(result.is_released);
  CHECK(result.problem.empty());
  CHECK(server.peer == endpoint);
  REQUIRE(server.messages.size() == 3);
  CHECK(server.messages[2].find("action=\"delete\" type=\"v6udpv4\"") != std::string::npos);
  CHECK(server.messages[2].find("2001:db8:f:f::2") != std::string::npos);
}

TEST_CASE_FIXTURE(
    Fixture, "negotiator: a lease is renewed through the tunnel's own socket, whose packets are handed on") {
  FakeRudpServer server(io, asio::ip::address_v4::loopback(),
                        [](std::string_view message) { return broker(message); });
  auto granted = negotiate("127.0.0.1", server.port(), tsp::Transport::kRudp);
  REQUIRE(granted.socket);
  CHECK(granted.version == "2.0.2");
  const auto endpoint = granted.socket->local_endpoint();
  server.noise = {std::string(60, '\x60'), std::string(60, '\x45')};
  std::vector<std::size_t> packets;
  tunnel::NegotiationEvents events;
  events.on_packet = [&](std::span<std::uint8_t> packet) { packets.push_back(packet.size()); };
  const tunnel::NegotiationTarget target{asio::ip::make_address("127.0.0.1"), server.port(),
                                         tsp::Transport::kRudp, std::nullopt};
  const auto again =
      test::run(io, tunnel::negotiate(profile, target, std::move(events), std::move(granted.socket)));
  REQUIRE(again.tunnel);
  CHECK(*again.tunnel == *granted.tunnel);
  CHECK(server.peer == endpoint);
  CHECK(packets == std::vector<std::size_t>(8, 60));  // before each of four answers two
}

TEST_CASE_FIXTURE(Fixture, "negotiator: an anonymous client without that socket releases over TCP") {
  FakeTcpServer server(io, asio::ip::address_v4::loopback(),
                       [](std::string_view message) { return broker(message); });
  const tunnel::NegotiationTarget target{asio::ip::make_address("127.0.0.1"), server.port(),
                                         tsp::Transport::kRudp, std::nullopt};
  const auto result = test::run(io, tunnel::release_lease(profile, target, std::nullopt));
  CHECK(result.is_released);
  CHECK(server.messages.size() == 3);
}

TEST_CASE_FIXTURE(Fixture, "negotiator: a release that fails says why") {
  FakeRudpServer server(io, asio::ip::address_v4::loopback(),
                        [](std::string_view message) -> std::optional<std::string> {
                          if (message.find("delete") == std::string_view::npos) return broker(message);
                          return tsp::with_content_length("310 Server error\r\n");
                        });
  auto granted = negotiate("127.0.0.1", server.port(), tsp::Transport::kRudp);
  REQUIRE(granted.socket);
  const tunnel::NegotiationTarget target{asio::ip::make_address("127.0.0.1"), server.port(),
                                         tsp::Transport::kRudp, std::nullopt};
  const auto result = test::run(io, tunnel::release_lease(profile, target, std::move(granted.socket)));
  CHECK_FALSE(result.is_released);
  CHECK(result.problem.find("310") != std::string::npos);
}
