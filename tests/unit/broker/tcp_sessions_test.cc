// SPDX-License-Identifier: BSD-3-Clause
#include "registry/broker/tcp_sessions.h"

#include <doctest/doctest.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>

#include "tests/unit/broker/fake_broker.h"
#include "tests/unit/net/run_coroutine.h"

using namespace sixlink;
using namespace sixlink::registry;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;
using test::authenticate;
using test::create_message;
using test::run_until;

namespace {

using Clock = std::chrono::steady_clock;

// A client that notes when each segment came.
struct Client {
  tcp::socket socket;
  std::string received;
  std::vector<std::pair<Clock::time_point, std::string>> segments;
  bool is_closed = false;

  explicit Client(asio::io_context& io, const tcp::endpoint& to) : socket(io) {
    socket.connect(to);
    socket.set_option(tcp::no_delay(true));
    socket.non_blocking(true);
  }
  void say(const std::string& text) {
    boost::system::error_code ignored;
    asio::write(socket, asio::buffer(text), ignored);
  }
  void read() {
    char buffer[8192];
    for (;;) {
      boost::system::error_code error;
      const auto size = socket.read_some(asio::buffer(buffer), error);
      if (error == asio::error::would_block) return;
      if (error) {
        is_closed = true;
        return;
      }
      segments.emplace_back(Clock::now(), std::string(buffer, size));
      received.append(buffer, size);
    }
  }
};

struct Fixture {
  asio::io_context io;
  tsp::ServerPolicy policy = test::broker_policy();
  test::OneUser credentials;
  test::FakeGranter granter;
  bool may_compute = true;
  int costly_logins = 0;
  int redeemed_logins = 0;
  Granter::Released release_done;
  tcp::acceptor acceptor{io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::unique_ptr<TcpSessions> sessions;
  bool may_log_in = true;

  void listen(const RudpSessions::Settings& settings = {4096, 256},
              std::chrono::milliseconds longest = TcpSessions::kLongestSession) {
    TcpSessions::Hooks hooks;
    hooks.grant = [this](const tsp::CreateRequest& request, const Requester& requester, Granter::Done done) {
      granter.grant(request, requester, std::move(done));
    };
    hooks.rejected = [this](const asio::ip::address&, std::string_view why) {
      ++granter.rejected[std::string(why)];
    };
    hooks.make_nonce = [] { return std::string("nonce"); };
    hooks.begin_costly_login = [this](const asio::ip::address&) {
      ++costly_logins;
      return may_compute;
    };
    hooks.costly_login_done = [this](const asio::ip::address&) { ++redeemed_logins; };
    hooks.release = [this](const tsp::DeleteRequest&, const Requester&, Granter::Released done) {
      release_done = std::move(done);
    };
    hooks.may_log_in = [this](const asio::ip::address&) { return may_log_in; };
    sessions = std::make_unique<TcpSessions>(settings, policy, credentials, std::move(hooks), longest);
    sessions->listen(acceptor);
  }
  std::unique_ptr<Client> connect() { return std::make_unique<Client>(io, acceptor.local_endpoint()); }
  bool receives(Client& client, const std::string& end, std::chrono::milliseconds limit = 5s) {
    return run_until(
        io,
        [&] {
          client.read();
          return client.received.ends_with(end);
        },
        limit);
  }
  bool closes(Client& client, std::chrono::milliseconds limit = 5s) {
    return run_until(
        io,
        [&] {
          client.read();
          return client.is_closed;
        },
        limit);
  }
};

constexpr const char* kInfoEnd = "</client>\r\n</tunnel>\r\n";

}  // namespace

TEST_CASE_FIXTURE(Fixture, "tcp sessions: a whole negotiation, then the server ends the connection") {
  listen();
  auto client = connect();
  client->say("VERSION=2.0.2\r\n");
  REQUIRE(receives(*client, "AUTH=DIGEST-MD5 \r\n"));
  client->say(authenticate("ANONYMOUS"));
  REQUIRE(receives(*client, "200 Success\r\n"));
  client->say(create_message());
  REQUIRE(receives(*client, kInfoEnd));
  // Each reply came in one read.
  CHECK(client->segments.size() == 3);
  client->say(tsp::with_content_length(tsp::kAcceptXml));
  CHECK(closes(*client));
  REQUIRE(granter.asked.size() == 1);
  CHECK(granter.asked[0].requester.transport == tsp::Transport::kTcp);
  CHECK(granter.asked[0].requester.peer == asio::ip::address_v4::loopback());
  CHECK(granter.asked[0].requester.port == client->socket.local_endpoint().port());
  CHECK(granter.asked[0].requester.local == asio::ip::address_v4::loopback());
  client.reset();
  CHECK(run_until(io, [&] { return sessions->size() == 0; }));
}

TEST_CASE_FIXTURE(Fixture, "tcp sessions: PLAIN with both its messages in one segment") {
  listen();
  auto client = connect();
  client->say("VERSION=2.0.2\r\n");
  REQUIRE(receives(*client, "\r\n"));
  client->say(authenticate("PLAIN") + std::string("\0alice\0s3cret\r\n", 15));
  REQUIRE(receives(*client, "200 Success\r\n"));
  client->say(create_message());
  REQUIRE(receives(*client, kInfoEnd));
  CHECK(granter.asked.at(0).requester.user == "alice");
}

TEST_CASE_FIXTURE(Fixture, "tcp sessions: all messages at once, and one byte at a time") {
  listen();
  const auto all = "VERSION=2.0.2\r\n" + authenticate("ANONYMOUS") + create_message() +
                   tsp::with_content_length(tsp::kAcceptXml);
  auto pipelined = connect();
  pipelined->say(all);
  CHECK(closes(*pipelined));
  auto slow = connect();
  for (const char c : all) {
    slow->say(std::string(1, c));
    io.restart();
    io.poll();
  }
  CHECK(closes(*slow));
  REQUIRE(granter.asked.size() == 2);
  const auto without_address = [](std::string text) { return text.substr(0, text.find("2001:db8:42::")); };
  CHECK(pipelined->received.ends_with(kInfoEnd));
  CHECK(without_address(slow->received) == without_address(pipelined->received));
}

TEST_CASE_FIXTURE(Fixture, "tcp sessions: rspauth and 200 are segments of their own, apart in time") {
  listen();
  auto client = connect();
  client->say("VERSION=2.0.2\r\n");
  REQUIRE(receives(*client, "\r\n"));
  client->received.clear();
  client->say(authenticate("DIGEST-MD5"));
  REQUIRE(receives(*client, "\r\n"));
  const auto answer = test::digest_answer(client->received);
  client->segments.clear();
  client->say(answer);
  REQUIRE(receives(*client, "200 Success\r\n"));
  REQUIRE(client->segments.size() == 2);
  CHECK(tsp::base64_decode(client->segments[0].second).value().starts_with("rspauth="));
  CHECK(client->segments[1].second == "200 Success\r\n");
  const auto pause = client->segments[1].first - client->segments[0].first;
  CHECK(pause >= 150ms);
  CHECK(pause < 2s);
  client->say(create_message());
  CHECK(receives(*client, kInfoEnd));
  CHECK(granter.asked.at(0).requester.user == "alice");
}

TEST_CASE_FIXTURE(Fixture, "tcp sessions: others are served during one's pause and one's grant") {
  listen();
  granter.answers_at_once = false;
  auto waiting = connect();
  waiting->say("VERSION=2.0.2\r\n" + authenticate("ANONYMOUS") + create_message());
  REQUIRE(run_until(io, [&] { return granter.asked.size() == 1; }));
  auto other = connect();
  other->say("VERSION=2.0.2\r\n");
  CHECK(receives(*other, "\r\n", 150ms));
  waiting->received.clear();
  granter.asked[0].done(310);
  CHECK(receives(*waiting, tsp::with_content_length(tsp::status_line(tsp::kServerError))));
}

TEST_CASE_FIXTURE(Fixture, "tcp sessions: a client that leaves during its grant does not disturb") {
  listen();
  granter.answers_at_once = false;
  auto client = connect();
  client->say("VERSION=2.0.2\r\n" + authenticate("ANONYMOUS") + create_message());
  REQUIRE(run_until(io, [&] { return granter.asked.size() == 1; }));
  client.reset();
  io.restart();
  io.run_for(20ms);
  granter.asked[0].done(test::granted_tunnel(2));
  CHECK(run_until(io, [&] { return sessions->size() == 0; }));
}

TEST_CASE_FIXTURE(
    Fixture,
    "tcp sessions: what never becomes a message closes the connection, and the next client is served") {
  listen();
  for (const std::string& text :
       {std::string(4000, 'x'), std::string(100000, 'y'), std::string("Content-length: 99999999\r\n"),
        std::string("Content-length: x\r\n")}) {
    auto client = connect();
    client->say(text);
    CHECK(closes(*client));
  }
  CHECK(granter.rejected["oversized message over TCP"] == 4);
  auto client = connect();
  client->say("nonsense\r\n");
  CHECK(receives(*client, "\r\n"));
  CHECK(client->received.starts_with("500 "));
  client->say("VERSION=2.0.2\r\n");
  CHECK(receives(*client, "AUTH=DIGEST-MD5 \r\n"));
}

TEST_CASE_FIXTURE(Fixture, "tcp sessions: guessing passwords ends the connection") {
  listen();
  auto client = connect();
  client->say("VERSION=2.0.2\r\n");
  for (int i = 0; i < 3; ++i) client->say(authenticate("PLAIN") + std::string("\0alice\0wrong1\r\n", 15));
  CHECK(closes(*client));
  CHECK(client->received.ends_with("300 Authentication failed\r\n"));
  CHECK(granter.rejected["wrong user or password"] == 3);
}

TEST_CASE_FIXTURE(Fixture,
                  "tcp sessions: a login that began before its address's budget was used up is put off") {
  listen();
  auto client = connect();
  client->say("VERSION=2.0.2\r\n" + authenticate("DIGEST-MD5"));
  REQUIRE(run_until(io, [&] {
    client->read();
    return client->received.find("\r\n") != client->received.rfind("\r\n");
  }));
  const auto first = client->received.find("\r\n") + 2;
  const auto challenge = client->received.substr(first);
  may_log_in = false;
  client->say(test::digest_answer(challenge));
  CHECK(closes(*client));
  CHECK(client->received.find("\r\n530 ") != std::string::npos);
  CHECK(granter.rejected["too many failed logins"] == 1);
}

TEST_CASE_FIXTURE(Fixture, "tcp sessions: slow and silent clients are closed at the limit") {
  listen({4096, 256}, 300ms);
  auto silent = connect();
  auto dripping = connect();
  auto granting = connect();
  granter.answers_at_once = false;
  granting->say("VERSION=2.0.2\r\n" + authenticate("ANONYMOUS") + create_message());
  const auto started = Clock::now();
  CHECK(run_until(
      io,
      [&] {
        dripping->say("x");
        silent->read();
        dripping->read();
        granting->read();
        return silent->is_closed && dripping->is_closed && granting->is_closed;
      },
      3s));
  CHECK(Clock::now() - started >= 250ms);
  CHECK(run_until(io, [&] { return sessions->size() == 0; }));
  // Its lease comes too late for anyone.
  granter.asked.at(0).done(test::granted_tunnel(2));
  io.restart();
  io.run_for(20ms);
}

TEST_CASE_FIXTURE(Fixture, "tcp sessions: too many connections from one address, and in all") {
  listen({4096, 5});
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(connect());
  REQUIRE(run_until(io, [&] { return sessions->size() == 5; }));
  auto refused = connect();
  CHECK(closes(*refused));
  CHECK(granter.rejected["too many TCP connections"] == 1);
  clients.pop_back();
  CHECK(run_until(io, [&] { return sessions->size() == 4; }));
  auto next = connect();
  next->say("VERSION=2.0.2\r\n");
  CHECK(receives(*next, "\r\n"));
}

TEST_CASE_FIXTURE(Fixture, "tcp sessions: the bound of all connections") {
  listen({3, 256});
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(connect());
  CHECK(run_until(io, [&] { return granter.rejected["too many TCP connections"] == 7; }));
  CHECK(sessions->size() == 3);
}

TEST_CASE_FIXTURE(Fixture, "tcp sessions: nobody is accepted after the acceptor was closed") {
  listen();
  acceptor.close();
  io.restart();
  CHECK(io.run_for(50ms) <= 1);
  CHECK(sessions->size() == 0);
}

TEST_CASE_FIXTURE(Fixture, "tcp sessions: PASSDSS-3DES-1, whose messages have no end, in any pieces") {
  const auto key = tsp::DsaHostKey::generate();
  policy.host_key = key.get();
  policy.capabilities.auths = {"PASSDSS-3DES-1"};
  listen();
  for (const std::size_t size : {1U, 100U, 10000U}) {
    CAPTURE(size);
    auto client = connect();
    const auto say = [&](const std::string& text) {
      for (std::size_t at = 0; at < text.size(); at += size) {
        client->say(text.substr(at, size));
        if (size == 1) io.poll();
      }
    };
    tsp::PassDssClient login("alice", tsp::random_exponent());
    say("VERSION=2.0.2\r\n" + authenticate("PASSDSS-3DES-1") + login.hello());
    REQUIRE(run_until(io, [&] {
      client->read();
      return std::count(client->received.begin(), client->received.end(), '\n') == 2;
    }));
    const auto challenge = client->received.substr(client->received.find('\n') + 1);
    REQUIRE(login.on_challenge(challenge) == "");
    say(login.answer("s3cret"));
    REQUIRE(receives(*client, "200 Success\r\n"));
    say(create_message());
    CHECK(receives(*client, kInfoEnd));
  }
  CHECK(costly_logins == 3);
  CHECK(redeemed_logins == 3);
  may_compute = false;
  auto client = connect();
  const tsp::PassDssClient login("alice", tsp::random_exponent());
  client->say("VERSION=2.0.2\r\n" + authenticate("PASSDSS-3DES-1") + login.hello());
  CHECK(run_until(io, [&] {
    client->read();
    return client->received.find("\r\n530 ") != std::string::npos;
  }));
}

TEST_CASE_FIXTURE(Fixture, "tcp sessions: a delete is answered when it is durable, and ends the connection") {
  listen();
  auto client = connect();
  client->say("VERSION=2.0.2\r\n" + authenticate("ANONYMOUS") +
              tsp::with_content_length(tsp::DeleteRequest{}.to_xml()));
  REQUIRE(run_until(io, [&] { return release_done != nullptr; }));
  client->read();
  CHECK(client->received.ends_with("200 Success\r\n"));  // the login's
  CHECK(client->received.find("Content-length") == std::string::npos);
  release_done(200);
  CHECK(receives(*client, tsp::with_content_length("200 Success\r\n")));
  CHECK(closes(*client));
}
