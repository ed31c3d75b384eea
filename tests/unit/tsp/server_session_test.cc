// SPDX-License-Identifier: BSD-3-Clause
#include "src/tsp/server_session.h"

#include <doctest/doctest.h>

#include <random>

#include "src/tsp/status.h"
#include "tests/unit/tsp/mutation.h"
#include "tests/unit/tsp/recorded_tunnel.h"

using namespace sixlink::tsp;
using namespace sixlink::tsp::test;
using namespace std::string_literals;

namespace {

const std::string kCreate = with_content_length(recorded_tunnels().front().profile.request.to_xml());
const std::string kAccept = with_content_length(kAcceptXml);

// One session over RUDP or TCP whose messages are given whole.
struct Fixture {
  explicit Fixture(Transport transport = Transport::kRudp) : session(policy, users, transport, "nonce1") {}

  ServerSession::Output input(std::string_view message) { return session.input(message); }
  int status(std::string_view message) { return status_of(session.input(message)); }
  static int status_of(const ServerSession::Output& output) {
    const auto content = parse_content(output.reply);
    const auto line = StatusLine::parse(
        content.state == Content::State::kComplete ? content.body : std::string_view(output.reply));
    return line ? line->code : 0;
  }
  void log_in() {
    input("VERSION=2.0.2\r\n");
    REQUIRE(status("AUTHENTICATE ANONYMOUS\r\n\0"s) == 200);
  }
  std::string digest_response(std::string_view challenge, std::string_view user,
                              std::string_view password) const {
    const auto text = base64_decode(challenge);
    REQUIRE(text);
    const auto parsed = DigestChallenge::parse(*text);
    REQUIRE(parsed);
    return base64_encode(
               answer_challenge(*parsed, user, password, "tsp/broker.example.net", "12345").to_string()) +
           "\r\n";
  }

  RecordedUsers users;
  ServerPolicy policy = recorded_policy();
  ServerSession session;
};

const HostKey& host_key() {
  static const auto key = DsaHostKey::generate();
  return *key;
}

struct PassDssFixture : Fixture {
  explicit PassDssFixture(Transport transport = Transport::kRudp) : Fixture(transport) {
    policy.host_key = &host_key();
    policy.capabilities.auths = {"PASSDSS-3DES-1"};
  }
  // Messages 1 and 2; the answer to 2.
  ServerSession::Output begin(const PassDssClient& client) {
    input("VERSION=2.0.2\r\n");
    CHECK(input("AUTHENTICATE PASSDSS-3DES-1\r\n\0"s).reply.empty());
    CHECK(session.expected().measure);
    return input(client.hello());
  }
};

}  // namespace

TEST_CASE("server: the recorded clients over RUDP are answered byte for byte as recorded") {
  for (const auto& recorded : all_recorded_tunnels()) {
    if (recorded.profile.transport != Transport::kRudp) continue;
    CAPTURE(recorded.name);
    RecordedUsers users;
    const auto policy = recorded_policy(recorded);
    RudpBroker broker(policy, users, recorded.nonce, recorded.tunnel);
    std::vector<std::string> replies;
    for (const auto& datagram : recorded.sent_by(true)) {
      for (auto& reply : broker.input(datagram)) replies.push_back(std::move(reply));
    }
    CHECK(replies == recorded.sent_by(false));
    CHECK(broker.session.is_accepted());
    CHECK(broker.session.user() == recorded.profile.user);
    REQUIRE(broker.requests.size() == 1);
    CHECK(broker.requests[0].to_xml() == recorded.profile.request.to_xml());
  }
}

TEST_CASE("server: every recorded datagram sent three times is answered three times alike and grants once") {
  for (const auto& recorded : all_recorded_tunnels()) {
    if (recorded.profile.transport != Transport::kRudp) continue;
    CAPTURE(recorded.name);
    RecordedUsers users;
    const auto policy = recorded_policy(recorded);
    RudpBroker broker(policy, users, recorded.nonce, recorded.tunnel);
    const auto expected = recorded.sent_by(false);
    const auto datagrams = recorded.sent_by(true);
    REQUIRE(datagrams.size() == expected.size());
    for (std::size_t i = 0; i < datagrams.size(); ++i) {
      for (int copy = 0; copy < 3; ++copy)
        CHECK(broker.input(datagrams[i]) == std::vector<std::string>{expected[i]});
      // One that was overtaken on its way.
      if (i > 0) CHECK(broker.input(datagrams[i - 1]).empty());
    }
    CHECK(broker.requests.size() == 1);
    CHECK(broker.session.is_accepted());
  }
}

TEST_CASE("server: the recorded clients over TCP are answered as recorded, however their stream is cut") {
  for (const auto& recorded : all_recorded_tunnels()) {
    if (recorded.profile.transport != Transport::kTcp) continue;
    CAPTURE(recorded.name);
    const auto stream = join(recorded.sent_by(true));
    const auto expected = recorded.sent_by(false);
    const auto policy = recorded_policy(recorded);
    const auto replay = [&](const std::vector<std::string>& segments) {
      RecordedUsers users;
      TcpBroker broker(policy, users, recorded.nonce, recorded.tunnel);
      std::vector<std::string> replies;
      for (const auto& segment : segments) {
        for (auto& reply : broker.input(segment)) replies.push_back(std::move(reply));
      }
      CHECK(replies == expected);
      CHECK(broker.session.is_accepted());
      CHECK(broker.session.user() == recorded.profile.user);
      CHECK(broker.is_closed);
      REQUIRE(broker.requests.size() == 1);
      CHECK(broker.requests[0].to_xml() == recorded.profile.request.to_xml());
    };
    replay(recorded.sent_by(true));  // as recorded
    replay({stream});                // all in one segment
    for (std::size_t size = 1; size < 64; ++size) {
      std::vector<std::string> segments;
      for (std::size_t at = 0; at < stream.size(); at += size) segments.push_back(stream.substr(at, size));
      replay(segments);
    }
    std::mt19937 random(7);
    for (int i = 0; i < 200; ++i) {
      std::vector<std::string> segments;
      for (std::size_t at = 0; at < stream.size();) {
        segments.push_back(stream.substr(at, 1 + random() % 80));
        at += segments.back().size();
      }
      replay(segments);
    }
  }
}

TEST_CASE("server: the recorded wrong password is answered as recorded, and the session goes on") {
  const auto entries = load_recording("wrong-password-rudp").at(0);
  RecordedUsers users;
  const auto policy = recorded_policy();
  RudpBroker broker(policy, users, "n", recorded_tunnels().front().tunnel);
  std::vector<std::string> replies;
  std::vector<std::string> expected;
  for (const auto& entry : entries) {
    if (entry.is_from_client) {
      for (auto& reply : broker.input(entry.bytes)) replies.push_back(std::move(reply));
    } else {
      expected.push_back(entry.bytes);
    }
  }
  CHECK(replies == expected);
  CHECK_FALSE(broker.session.is_authenticated());
  CHECK_FALSE(broker.is_closing);
}

TEST_CASE("server: the recorded ECHO REQUEST and VERSION need no session") {
  const auto policy = recorded_policy();
  const auto echo = load_recording("redirect-rudp").at(1);
  CHECK(stateless_reply(policy, echo.at(0).bytes.substr(8)) == echo.at(1).bytes.substr(8));
  const auto version = load_recording("anonymous-rudp").at(0);
  CHECK(stateless_reply(policy, version.at(0).bytes.substr(8)) == version.at(1).bytes.substr(8));
  CHECK(stateless_reply(policy, "ECHO REQUEST\r\n\0"s) == "200 Success\r\n");
  CHECK(stateless_reply(policy, "VERSION=3.0.0\r\n") == "302 Unsupported TSP version\r\n");
  for (const auto& text : {""s, "ECHO"s, "AUTHENTICATE ANONYMOUS\r\n"s, kCreate, kAccept})
    CHECK_FALSE(stateless_reply(policy, text));
}

TEST_CASE("server: every version that we speak is welcome, others get 302 and may try again") {
  Fixture f;
  for (const char* other : {"VERSION=3.0.0\r\n", "VERSION=2\r\n", "VERSION=1.0.0\r\n"})
    CHECK(f.status(other) == 302);
  for (const auto version : kVersions)
    CHECK(f.input("VERSION=" + std::string(version) + "\r\n").reply.starts_with("CAPABILITY "));
  CHECK(f.status("AUTHENTICATE ANONYMOUS\r\n") == 200);
}

TEST_CASE("server: version 1.0.1 has its tunnel without an accept") {
  Fixture f(Transport::kTcp);
  f.input("VERSION=1.0.1\r\n");
  f.input("AUTHENTICATE ANONYMOUS\r\n");
  REQUIRE(f.input(kCreate).create);
  const auto output = f.session.granted(recorded_tunnels().front().tunnel);
  CHECK(output.is_accepted);
  CHECK(output.is_closing);
  CHECK(f.session.is_accepted());
}

TEST_CASE("server: requests out of order get their status, change nothing, and the session still works") {
  Fixture f;
  CHECK(f.status(kCreate) == 300);
  CHECK(f.status(kAccept) == 300);
  CHECK(f.status("garbage\r\n") == 500);
  CHECK(f.status("GET / HTTP/1.1\r\n") == 500);
  f.log_in();
  CHECK(f.status("VERSION=2.0.2\r\n") == 500);
  CHECK(f.status("AUTHENTICATE ANONYMOUS\r\n") == 500);
  CHECK(f.status(kAccept) == 500);
  CHECK(f.status(with_content_length(recorded_tunnels().front().tunnel.to_xml())) == 500);
  REQUIRE(f.input(kCreate).create);
  CHECK(f.status(kAccept) == 500);
  CHECK(f.status(kCreate) == 521);  // in progress
  CHECK_FALSE(f.session.is_accepted());
  CHECK(Fixture::status_of(f.session.granted(recorded_tunnels().front().tunnel)) == 200);
  CHECK(f.status(kCreate) == 500);  // a second one
  CHECK_FALSE(f.session.is_accepted());
  CHECK(f.input(kAccept).is_accepted);
  CHECK(f.status(kCreate) == 500);
  CHECK(f.session.is_accepted());
}

TEST_CASE("server: after a refusal the client may ask for something else") {
  Fixture f;
  f.log_in();
  REQUIRE(f.input(kCreate).create);
  CHECK(Fixture::status_of(f.session.refused(kPrefixLengthNotAvailable)) == 507);
  REQUIRE(f.input(kCreate).create);
  CHECK(Fixture::status_of(f.session.granted(recorded_tunnels().front().tunnel)) == 200);
}

TEST_CASE("server: a refusal stands behind Content-length") {
  Fixture f;
  CHECK(f.session.refused(kServerBusy).reply == "Content-length: 21\r\n530 Server too busy\r\n");
}

TEST_CASE("server: a NUL in a command is no command") {
  Fixture f;
  for (const auto& text : {"VERSION\0=2.0.2\r\n"s, "VERSION=2.\0.2\r\n"s, "AUTHENTICATE\0ANONYMOUS\r\n"s,
                           "AUTHENTICATE ANON\0YMOUS\r\n"s, "\0VERSION=2.0.2\r\n"s}) {
    CHECK(f.status(text) == 500);
    CHECK_FALSE(f.session.is_authenticated());
  }
  f.log_in();
  auto create = recorded_tunnels().front().profile.request.to_xml();
  create[30] = '\0';
  CHECK(f.status(with_content_length(create)) == 500);
}

TEST_CASE("server: lies in Content-length get 500") {
  Fixture f;
  f.log_in();
  const auto body = recorded_tunnels().front().profile.request.to_xml();
  for (const std::string number :
       {"-1", "99999999999999999999", "18446744073709551615", "8193", "5", "0", "x", "", "8192"}) {
    CAPTURE(number);
    const auto output = f.input("Content-length: " + number + "\r\n" + body);
    CHECK_FALSE(output.create);
    CHECK(Fixture::status_of(output) == 500);
    CHECK_FALSE(output.rejection.empty());
  }
  CHECK(f.input(kCreate).create);
}

TEST_CASE("server: create truncated at every byte is never granted") {
  for (std::size_t size = 0; size < kCreate.size() - 2; ++size) {
    Fixture f;
    f.log_in();
    CHECK_FALSE(f.input(std::string_view(kCreate).substr(0, size)).create);
    CHECK(f.input(kCreate).create);
  }
}

TEST_CASE("server: PLAIN and DIGEST-MD5 log a user in") {
  for (const auto transport : {Transport::kRudp, Transport::kTcp}) {
    Fixture plain(transport);
    CHECK(plain.input("AUTHENTICATE PLAIN\r\n\0"s).reply.empty());
    CHECK(plain.session.expected().is_plain);
    CHECK(plain.status("\0alice\0s3cret\r\n"s) == 200);
    CHECK(plain.session.user() == "alice");

    Fixture digest(transport);
    const auto challenge = digest.input("AUTHENTICATE DIGEST-MD5\r\n\0"s).reply;
    const auto output = digest.input(digest.digest_response(challenge, "alice", "s3cret"));
    CHECK(base64_decode(output.reply)->starts_with("rspauth="));
    if (transport == Transport::kTcp) {
      CHECK(output.delayed_reply == "200 Success\r\n");
    } else {
      CHECK(output.delayed_reply.empty());
      CHECK_FALSE(digest.session.is_authenticated());
      CHECK(digest.session.user().empty());
      CHECK(digest.status("") == 200);
    }
    CHECK(digest.session.is_authenticated());
    CHECK(digest.session.user() == "alice");
  }
}

TEST_CASE("server: over RUDP the login is not complete before the empty message") {
  Fixture f;
  const auto challenge = f.input("AUTHENTICATE DIGEST-MD5\r\n").reply;
  f.input(f.digest_response(challenge, "alice", "s3cret"));
  CHECK(f.status(kCreate) == 300);
  // Another login instead: the first one is not kept for it.
  CHECK(f.status("AUTHENTICATE ANONYMOUS\r\n") == 200);
  CHECK(f.session.user().empty());
}

TEST_CASE("server: an unknown user is treated like a wrong password") {
  const auto answer = [](std::string_view user, std::string_view password, bool digest) {
    Fixture f;
    std::string message;
    if (digest) {
      message = f.digest_response(f.input("AUTHENTICATE DIGEST-MD5\r\n").reply, user, password);
    } else {
      f.input("AUTHENTICATE PLAIN\r\n");
      message = "\0"s + std::string(user) + "\0"s + std::string(password) + "\r\n";
    }
    const auto output = f.input(message);
    CHECK_FALSE(f.session.is_authenticated());
    CHECK(f.users.lookups == 1);
    return std::tuple(output.reply, output.delayed_reply, output.is_closing, std::string(output.rejection));
  };
  for (const bool digest : {false, true}) {
    CHECK(answer("alice", "wrong", digest) == answer("mallory", "s3cret", digest));
    CHECK(std::get<0>(answer("alice", "wrong", digest)) == "300 Authentication failed\r\n");
  }
}

TEST_CASE("server: the all-zeros hash of an unknown user is no password") {
  // Who is unknown is checked against H = 0; a response computed from it must fail as well.
  Fixture f;
  const auto challenge =
      *DigestChallenge::parse(*base64_decode(f.input("AUTHENTICATE DIGEST-MD5\r\n").reply));
  auto fields = answer_challenge(challenge, "mallory", "", "tsp/h", "1");
  fields.response = digest_response_value(Md5{}, fields);
  CHECK(f.status(base64_encode(fields.to_string()) + "\r\n") == 300);
  CHECK_FALSE(f.session.is_authenticated());
}

TEST_CASE("server: the third failed login closes the session") {
  for (const bool digest : {false, true}) {
    Fixture f;
    for (int attempt = 1; attempt <= 3; ++attempt) {
      ServerSession::Output output;
      if (digest) {
        output = f.input(f.digest_response(f.input("AUTHENTICATE DIGEST-MD5\r\n").reply, "alice",
                                           "guess" + std::to_string(attempt)));
      } else {
        f.input("AUTHENTICATE PLAIN\r\n");
        output = f.input("\0alice\0guess\r\n"s);
      }
      CHECK(output.is_closing == (attempt == 3));
      CHECK(Fixture::status_of(output) == 300);
    }
  }
}

TEST_CASE("server: a typing error is forgiven") {
  Fixture f;
  f.input("AUTHENTICATE PLAIN\r\n");
  CHECK(f.status("\0alice\0s3cert\r\n"s) == 300);
  f.input("AUTHENTICATE PLAIN\r\n");
  CHECK(f.status("\0alice\0s3cret\r\n"s) == 200);
}

TEST_CASE("server: an overheard DIGEST-MD5 response is of no use") {
  Fixture first;
  const auto response =
      first.digest_response(first.input("AUTHENTICATE DIGEST-MD5\r\n").reply, "alice", "s3cret");
  REQUIRE(base64_decode(first.input(response).reply)->starts_with("rspauth="));
  SUBCASE("in the same session") {
    first.input("AUTHENTICATE DIGEST-MD5\r\n");
    CHECK(first.status(response) == 300);
  }
  SUBCASE("in another session") {
    Fixture second;
    ServerSession other(second.policy, second.users, Transport::kRudp, "nonce2");
    other.input("AUTHENTICATE DIGEST-MD5\r\n");
    CHECK(Fixture::status_of(other.input(response)) == 300);
    CHECK_FALSE(other.is_authenticated());
  }
}

TEST_CASE("server: DIGEST-MD5 responses with another realm, count, service or form are refused") {
  const auto with = [](auto change) {
    Fixture f;
    const auto challenge =
        *DigestChallenge::parse(*base64_decode(f.input("AUTHENTICATE DIGEST-MD5\r\n").reply));
    auto fields = answer_challenge(challenge, "alice", "s3cret", "tsp/h", "1");
    change(fields);
    fields.response = digest_response_value(digest_ha1("alice", fields.realm, "s3cret"), fields);
    return f.status(base64_encode(fields.to_string()) + "\r\n");
  };
  CHECK(with([](DigestResponse&) {}) == 0);  // rspauth
  CHECK(with([](DigestResponse& r) { r.realm = "other"; }) == 300);
  CHECK(with([](DigestResponse& r) { r.nonce_count = "00000002"; }) == 300);
  CHECK(with([](DigestResponse& r) { r.digest_uri = "imap/h"; }) == 300);
  CHECK(with([](DigestResponse& r) { r.nonce = "nonce"; }) == 300);
  for (const auto& text : {"\r\n"s, "%%%%\r\n"s, "Zm9v\r\n"s, "\0alice\0s3cret\r\n"s}) {
    Fixture f;
    f.input("AUTHENTICATE DIGEST-MD5\r\n");
    CHECK(f.status(text) == 300);
  }
}

TEST_CASE("server: methods that are not offered are refused, whoever asks") {
  Fixture f;
  f.policy.capabilities.auths = {"DIGEST-MD5"};
  CHECK(f.status("AUTHENTICATE ANONYMOUS\r\n") == 300);
  CHECK(f.status("AUTHENTICATE PLAIN\r\n") == 300);
  CHECK_FALSE(f.session.expected().is_plain);
  CHECK_FALSE(f.session.is_authenticated());
  CHECK(f.input("AUTHENTICATE PASSDSS-3DES-1\r\n").is_closing);
}

TEST_CASE("server: PASSDSS-3DES-1 lets in who has the password, and nobody else") {
  for (const auto transport : {Transport::kRudp, Transport::kTcp}) {
    for (const auto& [user, password, status] : {std::tuple{"alice", "s3cret", 200},
                                                 {"alice", "s3creT", 300},
                                                 {"alice", "", 300},
                                                 {"bob", "s3cret", 300}}) {
      PassDssFixture f(transport);
      PassDssClient client(user, random_exponent());
      const auto output = f.begin(client);
      REQUIRE(client.on_challenge(output.reply) == "");
      CHECK_FALSE(output.is_failed_login);
      const auto end = f.input(client.answer(password));
      CHECK(f.status_of(end) == status);
      CHECK(end.is_costly_login_done == (status == 200));
      CHECK(f.session.is_authenticated() == (status == 200));
      CHECK(f.session.user() == (status == 200 ? "alice" : ""));
    }
  }
}

TEST_CASE("server: what makes PASSDSS-3DES-1 compute is announced, and can be put off") {
  PassDssFixture f;
  f.input("VERSION=2.0.2\r\n");
  CHECK_FALSE(f.session.expects_costly_login());
  CHECK(f.input("AUTHENTICATE PASSDSS-3DES-1\r\n\0"s).reply.empty());
  REQUIRE(f.session.expects_costly_login());
  const auto output = f.session.login_postponed();
  CHECK(f.status_of(output) == 530);
  CHECK_FALSE(f.session.expects_costly_login());
  // Later it is served.
  PassDssClient client("alice", random_exponent());
  REQUIRE(client.on_challenge(f.begin(client).reply) == "");
  CHECK_FALSE(f.session.expects_costly_login());
  CHECK(f.status(client.answer("s3cret")) == 200);
}

TEST_CASE("server: malformed PASSDSS-3DES-1 messages are refused, and three failures end the session") {
  PassDssFixture f;
  f.input("VERSION=2.0.2\r\n");
  for (const auto& bad : {""s, "AAAA"s, "VERSION=2.0.2\r\n"s}) {
    CAPTURE(bad);
    f.input("AUTHENTICATE PASSDSS-3DES-1\r\n\0"s);
    const auto output = f.input(bad);
    CHECK(f.status_of(output) == 300);
    CHECK_FALSE(output.is_failed_login);  // counted when it was begun
    CHECK(output.is_closing == bad.starts_with("VERSION"));
  }
}

TEST_CASE("server: a client that answers another broker's challenge is refused") {
  PassDssFixture one;
  PassDssFixture other;
  PassDssClient client("alice", random_exponent());
  REQUIRE(client.on_challenge(one.begin(client).reply) == "");
  other.begin(client);
  CHECK(other.status(client.answer("s3cret")) == 300);
  CHECK(one.status(client.answer("s3cret")) == 200);
}

TEST_CASE("server: without a host key PASSDSS-3DES-1 is refused even where it is offered") {
  PassDssFixture f;
  f.policy.host_key = nullptr;
  CHECK(f.status("AUTHENTICATE PASSDSS-3DES-1\r\n") == 300);
}

TEST_CASE("server: delete needs a login, names what is to be released, and may be followed by a create") {
  const auto bare = with_content_length(DeleteRequest{}.to_xml());
  Fixture f;
  CHECK(f.status(bare) == 300);
  f.log_in();
  CHECK(f.status(with_content_length("<tunnel action=\"delete\"><client><address "
                                     "type=\"ipv6\">x</address></client></tunnel>")) == 502);
  auto output = f.input(bare);
  REQUIRE(output.release);
  CHECK(output.release->client_inner.is_unspecified());
  CHECK(f.status(bare) == 521);
  CHECK(f.status(kCreate) == 521);
  CHECK(Fixture::status_of(f.session.released(310)) == 310);
  DeleteRequest request{Mode::kV6UdpV4, boost::asio::ip::make_address("2001:db8::2")};
  output = f.input(with_content_length(request.to_xml()));
  REQUIRE(output.release);
  CHECK(output.release->client_inner == request.client_inner);
  output = f.session.released(200);
  CHECK(Fixture::status_of(output) == 200);
  CHECK_FALSE(output.is_closing);
  CHECK(f.input(kCreate).create);
}

TEST_CASE("server: a granted and an accepted tunnel can be released in the same session") {
  Fixture f(Transport::kTcp);
  f.log_in();
  REQUIRE(f.input(kCreate).create);
  f.session.granted(recorded_tunnels().front().tunnel);
  CHECK(f.input(with_content_length(DeleteRequest{}.to_xml())).release);
  CHECK(f.session.released(200).is_closing);
  Fixture g;
  g.log_in();
  REQUIRE(g.input(kCreate).create);
  g.session.granted(recorded_tunnels().front().tunnel);
  g.input(kAccept);
  CHECK(g.input(with_content_length(DeleteRequest{}.to_xml())).release);
}

TEST_CASE("server: an empty message where nothing is owed gets the bare header") {
  Fixture f;
  const auto output = f.input("");
  CHECK(output.reply.empty());
  CHECK_FALSE(output.is_closing);
}

TEST_CASE("server: a connection with an oversized or endless message is dropped, the next one is served") {
  RecordedUsers users;
  const auto policy = recorded_policy();
  const auto& recorded = recorded_tunnels().at(1);
  for (const auto& hostile :
       {std::string(100000, 'A'), "Content-length: 99999999\r\n" + std::string(100, 'x'),
        "VERSION=2.0.2\r\n" + std::string(20000, '\xff')}) {
    TcpBroker broker(policy, users, "n", recorded.tunnel);
    for (std::size_t at = 0; at < hostile.size(); at += 100)
      broker.input(std::string_view(hostile).substr(at, 100));
    CHECK(broker.is_closed);
  }
  TcpBroker broker(policy, users, "n", recorded.tunnel);
  CHECK(broker.input(join(recorded.sent_by(true))) == recorded.sent_by(false));
}

TEST_CASE("server: mutated recorded clients never crash it, and the next good session works") {
  std::mt19937 random(0x51);
  RecordedUsers users;
  auto policy = recorded_policy();
  policy.capabilities.auths.emplace_back(kPassDss);
  policy.host_key = &host_key();
  const auto all = all_recorded_tunnels();
  unsigned accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    const auto& recorded = all[random() % all.size()];
    const auto messages = mutated(recorded.sent_by(true), random);
    if (recorded.profile.transport == Transport::kRudp) {
      RudpBroker broker(policy, users, recorded.nonce, recorded.tunnel);
      for (const auto& message : messages) {
        for (const auto& reply : broker.input(message)) REQUIRE(reply.size() < 4096);
      }
      accepted += broker.session.is_accepted();
    } else {
      TcpBroker broker(policy, users, recorded.nonce, recorded.tunnel);
      for (const auto& message : messages) broker.input(message);
      accepted += broker.session.is_accepted();
    }
  }
  CHECK(accepted > 0);  // some mutations do no harm: the test reaches the end of a session
  const auto& good = recorded_tunnels().front();
  RudpBroker broker(policy, users, good.nonce, good.tunnel);
  for (const auto& datagram : good.sent_by(true)) broker.input(datagram);
  CHECK(broker.session.is_accepted());
}

TEST_CASE("server: a front door redirects in reply to VERSION as the recorded one does") {
  const auto recorded = load_recording("redirect-rudp").at(0);
  auto policy = recorded_policy();
  const BrokerList brokers = {*sixlink::net::ServerAddress::parse("10.99.0.11"),
                              *sixlink::net::ServerAddress::parse("10.99.0.12")};
  policy.redirection = redirect_xml(brokers);
  policy.redirects_all = true;
  const auto answer = recorded.at(1).bytes.substr(8) + '\0';
  CHECK(stateless_reply(policy, recorded.at(0).bytes.substr(8)) == answer);
  RecordedUsers users;
  ServerSession session(policy, users, Transport::kTcp, "n");
  CHECK(session.input("VERSION=2.0.2\r\n").reply == answer);
  CHECK(stateless_reply(policy, "ECHO REQUEST") == "200 Success\r\n");
  // Without brokers it serves.
  policy.redirection.clear();
  CHECK(stateless_reply(policy, "VERSION=2.0.2\r\n")->starts_with("CAPABILITY"));
}

TEST_CASE("server: a drained one does not answer ECHO REQUEST, and does VERSION") {
  auto policy = recorded_policy();
  policy.answers_echo = false;
  CHECK_FALSE(stateless_reply(policy, "ECHO REQUEST"));
  CHECK(stateless_reply(policy, "VERSION=2.0.2\r\n")->starts_with("CAPABILITY"));
}

TEST_CASE("server: a create is answered by a redirection that our client follows") {
  auto policy = recorded_policy();
  policy.redirection = redirect_xml({*sixlink::net::ServerAddress::parse("b.example.net:3654")});
  RecordedUsers users;
  for (const auto transport : {Transport::kRudp, Transport::kTcp}) {
    ServerSession session(policy, users, transport, "n");
    ClientProfile profile;
    profile.transport = transport;
    profile.request.mode = Mode::kV6AnyV4;
    profile.request.client_address = boost::asio::ip::make_address("192.0.2.2");
    ClientSession client(profile);
    auto sent = client.start();
    ServerSession::Output output;
    while (!sent.is_done() && !output.create) {
      REQUIRE(sent.sends.size() == 1);
      output = session.input(sent.sends.front());
      if (!output.create) sent = client.input(output.reply);
    }
    REQUIRE(output.create);
    output = session.refused(kRedirection);
    CHECK(output.is_closing == (transport == Transport::kTcp));
    sent = client.input(output.reply);
    REQUIRE(sent.failure);
    CHECK(sent.failure->kind == FailureKind::kRedirect);
    REQUIRE(sent.failure->brokers.size() == 1);
    CHECK(sent.failure->brokers.front().text == "b.example.net:3654");
  }
  // There is nowhere to send anybody.
  policy.redirection.clear();
  ServerSession session(policy, users, Transport::kRudp, "n");
  CHECK(session.refused(kRedirection).reply == with_content_length("530 Server too busy\r\n"));
}
