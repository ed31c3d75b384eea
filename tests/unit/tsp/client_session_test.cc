// SPDX-License-Identifier: BSD-3-Clause
#include "src/tsp/client_session.h"

#include <doctest/doctest.h>

#include <random>

#include "src/tsp/digest_md5.h"
#include "src/tsp/status.h"
#include "tests/unit/tsp/mutation.h"
#include "tests/unit/tsp/recorded_tunnel.h"

using namespace sixlink::tsp;
using namespace sixlink::tsp::test;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

const std::string kCapability =
    "CAPABILITY TUNNEL=V6V4 TUNNEL=V6UDPV4 AUTH=ANONYMOUS AUTH=PLAIN AUTH=DIGEST-MD5 \r\n";

ClientProfile with_auth(ClientAuth auth, Transport transport = Transport::kRudp) {
  auto profile = profile_of("plain-rudp");
  profile.auth = auth;
  profile.transport = transport;
  profile.cnonce = "1";
  return profile;
}

// What a session over RUDP sent and came to, the broker's datagrams being `replies`.
struct Outcome {
  std::vector<std::string> sent;  // datagrams
  std::optional<TunnelInfo> tunnel;
  std::optional<Failure> failure;
};
Outcome run_rudp(const ClientProfile& profile, const std::vector<std::string>& replies) {
  auto now = TimePoint(1h);
  RudpClient rudp(now);
  ClientSession session(profile);
  Outcome outcome;
  auto output = session.start();
  std::size_t next = 0;
  for (;;) {
    REQUIRE(output.sends.size() <= 1);
    for (const auto& text : output.sends) outcome.sent.push_back(text_of(rudp.send(text, now)));
    if (output.is_done()) break;
    RudpClient::Event event;
    while (next < replies.size() && event.kind != RudpClient::Event::Kind::kReply) {
      now += 1ms;
      event = rudp.input(bytes_of(replies[next++]), now);
    }
    if (event.kind != RudpClient::Event::Kind::kReply) return outcome;
    output = session.input(event.text);
  }
  outcome.tunnel = output.tunnel;
  outcome.failure = output.failure;
  return outcome;
}

Outcome run_tcp(const ClientProfile& profile, const std::vector<std::string>& segments) {
  Framer framer(Framer::Side::kClient);
  ClientSession session(profile);
  Outcome outcome;
  auto output = session.start();
  std::size_t next = 0;
  for (;;) {
    for (auto& text : output.sends) outcome.sent.push_back(std::move(text));
    if (output.is_done()) break;
    std::optional<std::string> reply = framer.next();
    while (!reply && next < segments.size()) {
      if (!framer.append(segments[next++])) return outcome;
      reply = framer.next();
    }
    if (!reply) return outcome;
    output = session.input(*reply);
  }
  outcome.tunnel = output.tunnel;
  outcome.failure = output.failure;
  return outcome;
}

std::string without_timestamp(std::string datagram) {
  REQUIRE(datagram.size() >= RudpHeader::kSize);
  return datagram.replace(4, 4, "time");
}

// A session after its VERSION and AUTHENTICATE ANONYMOUS, waiting for the answer to create.
ClientSession at_create(ClientProfile profile = profile_of("anonymous-rudp")) {
  ClientSession session(std::move(profile));
  session.start();
  session.input(kCapability);
  REQUIRE(session.input("200 Success\r\n").sends.size() == 1);
  return session;
}

void check_message(const Failure& failure) {
  CAPTURE(failure.message);
  CHECK_FALSE(failure.message.empty());
  CHECK(failure.message == printable(failure.message, 10000));
  CHECK(failure.message.find('%') == std::string::npos);
}

}  // namespace

TEST_CASE("client: the recorded servers over RUDP are understood, and what we send is what was recorded") {
  for (const auto& recorded : recorded_tunnels()) {
    if (recorded.profile.transport != Transport::kRudp) continue;
    CAPTURE(recorded.name);
    const auto outcome = run_rudp(recorded.profile, recorded.sent_by(false));
    REQUIRE(outcome.tunnel);
    CHECK(outcome.tunnel->to_xml() == recorded.tunnel.to_xml());
    const auto expected = recorded.sent_by(true);
    REQUIRE(outcome.sent.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      CHECK(without_timestamp(outcome.sent[i]) == without_timestamp(expected[i]));
  }
}

TEST_CASE("client: the recorded servers over TCP are understood, however their stream is cut") {
  for (const auto& recorded : recorded_tunnels()) {
    if (recorded.profile.transport != Transport::kTcp) continue;
    CAPTURE(recorded.name);
    const auto stream = join(recorded.sent_by(false));
    const auto expected = join(recorded.sent_by(true));
    const auto replay = [&](const std::vector<std::string>& segments) {
      const auto outcome = run_tcp(recorded.profile, segments);
      REQUIRE(outcome.tunnel);
      CHECK(outcome.tunnel->to_xml() == recorded.tunnel.to_xml());
      CHECK(join(outcome.sent) == expected);
    };
    replay(recorded.sent_by(false));
    replay({stream});
    for (std::size_t size = 1; size < 64; ++size) {
      std::vector<std::string> segments;
      for (std::size_t at = 0; at < stream.size(); at += size) segments.push_back(stream.substr(at, size));
      replay(segments);
    }
  }
}

TEST_CASE("client: any takes the recorded DIGEST-MD5 and ends with the same messages") {
  for (const char* name : {"digest-md5-rudp", "digest-md5-tcp"}) {
    for (auto recorded : recorded_tunnels()) {
      if (recorded.name != name) continue;
      recorded.profile.auth = ClientAuth::kAny;
      const auto replies = recorded.sent_by(false);
      CHECK((recorded.profile.transport == Transport::kRudp ? run_rudp(recorded.profile, replies)
                                                            : run_tcp(recorded.profile, replies))
                .tunnel);
    }
  }
}

TEST_CASE("client: the recorded redirection gives its brokers") {
  const auto entries = load_recording("redirect-rudp").at(0);
  const auto outcome = run_rudp(profile_of("redirect-rudp"), {entries.at(1).bytes});
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->kind == FailureKind::kRedirect);
  CHECK(outcome.failure->status == 1200);
  REQUIRE(outcome.failure->brokers.size() == 2);
  CHECK(outcome.failure->brokers[0].host == "10.99.0.11");
  CHECK(outcome.failure->brokers[1].host == "10.99.0.12");
  check_message(*outcome.failure);
  const auto over_tcp = run_tcp(profile_of("anonymous-tcp"), {entries.at(1).bytes.substr(8) + '\0'});
  REQUIRE(over_tcp.failure);
  CHECK(over_tcp.failure->brokers.size() == 2);
}

TEST_CASE("client: a redirection is understood in each phase") {
  const auto redirection = load_recording("redirect-rudp").at(0).at(1).bytes.substr(8);
  for (const auto& reply : {redirection, redirection + '\0'}) {
    for (const auto auth : {ClientAuth::kAnonymous, ClientAuth::kPlain, ClientAuth::kDigestMd5}) {
      ClientSession session(with_auth(auth));
      session.start();
      session.input(kCapability);
      const auto output = session.input(reply);
      REQUIRE(output.failure);
      CHECK(output.failure->kind == FailureKind::kRedirect);
      CHECK(output.failure->brokers.size() == 2);
    }
    auto session = at_create();
    CHECK(session.input(with_content_length(reply)).failure->brokers.size() == 2);
  }
}

TEST_CASE("client: the recorded wrong password is an authentication failure") {
  static const sixlink::pki::Secret wrong("wrong");
  const auto entries = load_recording("wrong-password-rudp").at(0);
  auto profile = profile_of("plain-rudp");
  profile.password = &wrong;
  std::vector<std::string> replies;
  std::vector<std::string> expected;
  for (const auto& entry : entries) (entry.is_from_client ? expected : replies).push_back(entry.bytes);
  const auto outcome = run_rudp(profile, replies);
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->kind == FailureKind::kAuthentication);
  CHECK(outcome.failure->status == 300);
  REQUIRE(outcome.sent.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK(without_timestamp(outcome.sent[i]) == without_timestamp(expected[i]));
}

TEST_CASE("client: every status code gives its kind of failure and a message, in each phase") {
  const std::pair<int, FailureKind> kCodes[] = {
      {300, FailureKind::kAuthentication}, {301, FailureKind::kBusy},   {302, FailureKind::kVersion},
      {303, FailureKind::kModeNotOffered}, {310, FailureKind::kStatus}, {500, FailureKind::kStatus},
      {501, FailureKind::kStatus},         {502, FailureKind::kStatus}, {506, FailureKind::kStatus},
      {507, FailureKind::kStatus},         {509, FailureKind::kStatus}, {518, FailureKind::kStatus},
      {520, FailureKind::kStatus},         {521, FailureKind::kBusy},   {522, FailureKind::kStatus},
      {530, FailureKind::kBusy},           {477, FailureKind::kStatus}, {999, FailureKind::kStatus}};
  for (const auto& [code, kind] : kCodes) {
    CAPTURE(code);
    const auto line = std::to_string(code) + " Server\x1b[2J says 100%n\r\n";
    const auto check = [&](const ClientSession::Output& output) {
      CHECK_FALSE(output.tunnel);
      REQUIRE(output.failure);
      CHECK(output.failure->kind == kind);
      CHECK(output.failure->status == code);
      check_message(*output.failure);
    };
    {
      ClientSession session(profile_of("anonymous-rudp"));
      session.start();
      check(session.input(line));
    }
    for (const auto auth : {ClientAuth::kAnonymous, ClientAuth::kPlain, ClientAuth::kDigestMd5}) {
      ClientSession session(with_auth(auth));
      session.start();
      session.input(kCapability);
      check(session.input(line));
    }
    {
      auto session = at_create();
      check(session.input(with_content_length(line)));
    }
    {
      auto session = at_create();  // without Content-length, as some servers refuse
      check(session.input(line));
    }
    {
      auto session = at_create();
      session.input(info_reply());
      check(session.input(line));  // to accept
    }
  }
}

TEST_CASE("client: 303 over TCP says why v6udpv4 cannot be carried") {
  auto profile = profile_of("anonymous-tcp");
  profile.request.mode = Mode::kV6UdpV4;
  ClientSession session(profile);
  session.start();
  session.input(kCapability);
  session.input("200 Success\r\n");
  const auto output = session.input(with_content_length(status_line(303)));
  REQUIRE(output.failure);
  CHECK(output.failure->message.find("UDP") != std::string::npos);
  CHECK(output.failure->message.find("firewall") != std::string::npos);
}

TEST_CASE(
    "client: chooses the strongest method that both have, and never PLAIN where a stronger one is offered") {
  const auto choice = [](ClientAuth auth, std::string_view offered) {
    ClientSession session(with_auth(auth));
    session.start();
    const auto output = session.input("CAPABILITY TUNNEL=V6UDPV4 " + std::string(offered) + " \r\n");
    if (output.failure) {
      CHECK(output.failure->kind == FailureKind::kNoCommonMethod);
      check_message(*output.failure);
      return std::string("none");
    }
    REQUIRE(output.sends.size() == 1);
    CHECK(output.sends[0] == "AUTHENTICATE " + std::string(session.method()) + "\r\n\0"s);
    return std::string(session.method()) + (session.sent_plain_despite_stronger() ? "!" : "");
  };
  CHECK(choice(ClientAuth::kAny, "AUTH=PLAIN AUTH=DIGEST-MD5") == "DIGEST-MD5");
  CHECK(choice(ClientAuth::kAny, "AUTH=DIGEST-MD5 AUTH=PLAIN AUTH=ANONYMOUS") == "DIGEST-MD5");
  CHECK(choice(ClientAuth::kAny, "AUTH=PASSDSS-3DES-1 AUTH=DIGEST-MD5 AUTH=PLAIN") == "PASSDSS-3DES-1");
  CHECK(choice(ClientAuth::kAny, "AUTH=PLAIN AUTH=ANONYMOUS") == "PLAIN");
  CHECK(choice(ClientAuth::kAny, "auth=digest-md5 auth=plain") == "DIGEST-MD5");
  CHECK(choice(ClientAuth::kAny, "AUTH=PASSDSS-3DES-1 AUTH=PLAIN") == "PASSDSS-3DES-1");
  CHECK(choice(ClientAuth::kAny, "AUTH=ANONYMOUS") == "none");
  CHECK(choice(ClientAuth::kAny, "") == "none");
  CHECK(choice(ClientAuth::kPlain, "AUTH=PLAIN") == "PLAIN");
  CHECK(choice(ClientAuth::kPlain, "AUTH=PLAIN AUTH=DIGEST-MD5") == "PLAIN!");
  CHECK(choice(ClientAuth::kPlain, "AUTH=PLAIN AUTH=PASSDSS-3DES-1") == "PLAIN!");
  CHECK(choice(ClientAuth::kPlain, "AUTH=DIGEST-MD5") == "none");
  CHECK(choice(ClientAuth::kDigestMd5, "AUTH=PLAIN AUTH=ANONYMOUS") == "none");
  CHECK(choice(ClientAuth::kAnonymous, "AUTH=PLAIN AUTH=DIGEST-MD5") == "none");
  CHECK(choice(ClientAuth::kPassDss3Des1, "AUTH=passdss-3des-1 AUTH=PLAIN") == "PASSDSS-3DES-1");
  CHECK(choice(ClientAuth::kPassDss3Des1, "AUTH=DIGEST-MD5 AUTH=PLAIN") == "none");
}

namespace {

// A broker with a host key, and a client that is asked about it.
struct PassDssSession {
  explicit PassDssSession(Transport transport, bool trusts = true, std::string password_text = "s3cret")
      : password(password_text), broker(policy, users, transport, "n"), session(profile(transport, trusts)) {}

  ClientProfile profile(Transport transport, bool trusts) {
    policy.capabilities.auths = {"PASSDSS-3DES-1", "DIGEST-MD5", "PLAIN"};
    policy.host_key = &key();
    auto made = with_auth(ClientAuth::kAny, transport);
    made.password = &password;
    made.request.mode = Mode::kV6V4;
    made.check_host_key = [this, trusts](std::string_view shown) {
      asked.emplace_back(shown);
      return HostKeyVerdict{trusts, trusts ? "" : "not this one"};
    };
    return made;
  }
  static const HostKey& key() {
    static const auto made = DsaHostKey::generate();
    return *made;
  }
  // Until the login's end: what the client sent, and its last output.
  ClientSession::Output run() {
    auto output = session.start();
    for (int step = 0; step < 10 && !output.is_done(); ++step) {
      std::string reply;
      for (const auto& text : output.sends) {
        sent.push_back(text);
        if (text.starts_with("Content-length")) return output;
        reply = broker.input(text).reply;  // the last message's: the first lines have none over TCP
      }
      output = session.input(reply);
    }
    return output;
  }

  sixlink::pki::Secret password;
  RecordedUsers users;
  ServerPolicy policy = recorded_policy();
  std::vector<std::string> asked;
  std::vector<std::string> sent;
  ServerSession broker;
  ClientSession session;
};

}  // namespace

TEST_CASE("client: PASSDSS-3DES-1 logs in over RUDP and TCP, once the host key was found good") {
  for (const auto transport : {Transport::kRudp, Transport::kTcp}) {
    PassDssSession s(transport);
    const auto output = s.run();
    REQUIRE_FALSE(output.failure);
    CHECK(s.broker.is_authenticated());
    CHECK(s.session.method() == "PASSDSS-3DES-1");
    REQUIRE(s.asked.size() == 1);
    CHECK(s.asked[0] == PassDssSession::key().blob());
    REQUIRE(s.sent.size() == 5);  // VERSION, AUTHENTICATE, messages 2 and 4, create
    CHECK(s.sent[1] == "AUTHENTICATE PASSDSS-3DES-1\r\n\0"s);
    for (const auto& text : s.sent) {
      CHECK(text.find("s3cret") == std::string::npos);
      const auto decoded = base64_decode(text);
      CHECK((!decoded || decoded->find("s3cret") == std::string::npos));
    }
    for (const auto index : {2, 3}) CHECK_FALSE(s.sent[static_cast<std::size_t>(index)].ends_with('\n'));
  }
}

TEST_CASE("client: a host key that is not trusted ends the login before the password is used") {
  for (const auto transport : {Transport::kRudp, Transport::kTcp}) {
    PassDssSession s(transport, false);
    const auto output = s.run();
    REQUIRE(output.failure);
    CHECK(output.failure->kind == FailureKind::kAuthentication);
    CHECK(output.failure->message == "not this one");
    CHECK(s.sent.size() == 3);  // as far as message 2; no other method is tried either
    CHECK_FALSE(s.broker.is_authenticated());
  }
  auto profile = with_auth(ClientAuth::kPassDss3Des1);
  CHECK_FALSE(profile.check_host_key);
  ServerPolicy policy = recorded_policy();
  policy.capabilities.auths = {"PASSDSS-3DES-1"};
  policy.host_key = &PassDssSession::key();
  RecordedUsers users;
  ServerSession broker(policy, users, Transport::kRudp, "n");
  ClientSession session(profile);
  auto output = session.start();
  while (!output.is_done()) output = session.input(broker.input(output.sends.at(0)).reply);
  REQUIRE(output.failure);
  CHECK(output.failure->kind == FailureKind::kAuthentication);
}

TEST_CASE("client: a wrong password and a forged challenge end a PASSDSS-3DES-1 login") {
  PassDssSession s(Transport::kRudp, true, "wrong");
  const auto output = s.run();
  REQUIRE(output.failure);
  CHECK(output.failure->kind == FailureKind::kAuthentication);
  CHECK(output.failure->status == 300);

  PassDssSession forged(Transport::kRudp);
  forged.broker.input("VERSION=2.0.2\r\n");
  forged.session.start();
  auto step = forged.session.input("CAPABILITY TUNNEL=V6V4 AUTH=PASSDSS-3DES-1 \r\n");
  step = forged.session.input("");
  REQUIRE(step.sends.size() == 1);
  CHECK(forged.session.input("AAAA\r\n").failure->kind == FailureKind::kBadReply);
  CHECK(forged.asked.empty());

  PassDssSession refused(Transport::kRudp);
  refused.session.start();
  refused.session.input("CAPABILITY TUNNEL=V6V4 AUTH=PASSDSS-3DES-1 \r\n");
  CHECK(refused.session.input("530 busy\r\n").failure->kind == FailureKind::kBusy);

  const std::string long_password(kLongestPassword + 1, 'p');
  PassDssSession too_long(Transport::kRudp, true, long_password);
  CHECK(too_long.run().failure->message.find("too long") != std::string::npos);
}

TEST_CASE("client: delete logs in, names the tunnel and ends with the broker's 200") {
  for (const auto transport : {Transport::kRudp, Transport::kTcp}) {
    auto profile = profile_of("anonymous-rudp");
    profile.transport = transport;
    profile.purpose = Purpose::kDelete;
    profile.request.mode = Mode::kV4V6;  // not offered (any more)
    profile.release = {Mode::kV6UdpV4, boost::asio::ip::make_address("2001:db8::2")};
    ClientSession session(profile);
    session.start();
    CHECK_FALSE(session.input(kCapability).is_done());
    auto output = session.input("200 Success\r\n");
    REQUIRE(output.sends.size() == 1);
    const auto content = parse_content(output.sends[0]);
    REQUIRE(content.state == Content::State::kComplete);
    CHECK(parse_delete(content.body)->client_inner == profile.release.client_inner);
    output = session.input(with_content_length("200 Success\r\n"));
    CHECK(output.is_released);
    CHECK(output.is_done());
    CHECK_FALSE(output.tunnel);
    CHECK(session.input("200 Success\r\n").failure);
  }
}

TEST_CASE("client: a broker that does not know delete, or answers nonsense, is reported") {
  for (const auto& [reply, kind] :
       {std::pair{with_content_length("500 Invalid request\r\n"), FailureKind::kStatus},
        {"500 Invalid request\r\n"s, FailureKind::kStatus},
        {with_content_length("530 Busy\r\n"), FailureKind::kBusy},
        {""s, FailureKind::kBadReply},
        {"<tunnel>"s, FailureKind::kBadReply}}) {
    auto profile = profile_of("anonymous-rudp");
    profile.purpose = Purpose::kDelete;
    ClientSession session(profile);
    session.start();
    session.input(kCapability);
    session.input("200 Success\r\n");
    const auto output = session.input(reply);
    REQUIRE(output.failure);
    CHECK(output.failure->kind == kind);
    CHECK_FALSE(output.is_released);
  }
}

TEST_CASE("client: a mode that is not offered is reported before the login") {
  auto profile = profile_of("anonymous-rudp");
  profile.request.mode = Mode::kV6V4;
  ClientSession session(profile);
  session.start();
  const auto output = session.input("CAPABILITY TUNNEL=V6UDPV4 TUNNEL=\x1b[2J%s AUTH=ANONYMOUS \r\n");
  REQUIRE(output.failure);
  CHECK(output.failure->kind == FailureKind::kModeNotOffered);
  check_message(*output.failure);
}

TEST_CASE("client: a forged rspauth is an authentication failure") {
  for (const auto transport : {Transport::kRudp, Transport::kTcp}) {
    for (const auto& value : {"rspauth=00000000000000000000000000000000"s, "rspauth="s,
                              "rspauth=5afc62a02c04b528e268f29c471a963d0"s}) {
      auto profile = profile_of(transport == Transport::kRudp ? "digest-md5-rudp" : "digest-md5-tcp");
      ClientSession session(profile);
      session.start();
      session.input(kCapability);
      session.input(base64_encode(DigestChallenge{"peertest", "n"}.to_string()) + "\r\n");
      const auto output = session.input(base64_encode(value) + "\r\n");
      REQUIRE(output.failure);
      CHECK(output.sends.empty());
      CHECK(output.failure->kind == FailureKind::kAuthentication);
    }
  }
}

TEST_CASE("client: a success without rspauth does not pass for a broker that knows the password") {
  ClientSession session(profile_of("digest-md5-rudp"));
  session.start();
  session.input(kCapability);
  session.input(base64_encode(DigestChallenge{"peertest", "n"}.to_string()) + "\r\n");
  const auto output = session.input("200 Success\r\n");
  CHECK(output.sends.empty());
  REQUIRE(output.failure);
  CHECK(output.failure->kind == FailureKind::kBadReply);
  CHECK(output.failure->status == 200);
}

TEST_CASE("client: a success in place of a challenge is no login") {
  ClientSession session(profile_of("digest-md5-rudp"));
  session.start();
  session.input(kCapability);
  const auto output = session.input("200 Success\r\n");
  CHECK(output.sends.empty());
  REQUIRE(output.failure);
  CHECK(output.failure->kind == FailureKind::kBadReply);
}

TEST_CASE("client: a success in place of the capabilities is a bad reply") {
  ClientSession session(profile_of("anonymous-rudp"));
  session.start();
  const auto output = session.input("200 Success\r\n");
  REQUIRE(output.failure);
  CHECK(output.failure->kind == FailureKind::kBadReply);
}

TEST_CASE("client: rspauth and the success behind it in one datagram are understood") {
  auto recorded = recorded_tunnels().at(2);
  REQUIRE(recorded.name == "digest-md5-rudp");
  const auto replies = recorded.sent_by(false);
  ClientSession session(recorded.profile);
  session.start();
  session.input(replies.at(0).substr(8));
  session.input(replies.at(1).substr(8));
  const auto output = session.input(replies.at(2).substr(8) + replies.at(3).substr(8));
  REQUIRE(output.sends.size() == 1);
  CHECK(output.sends[0].starts_with("Content-length: "));
}

TEST_CASE("client: over RUDP a reply in parts is asked for with empty messages") {
  const auto whole = info_reply();
  auto session = at_create();
  auto output = session.input(whole.substr(0, 20));
  for (std::size_t at = 20; at < whole.size(); at += 100) {
    CHECK(output.sends == std::vector<std::string>{""});
    output = session.input(whole.substr(at, 100));
  }
  REQUIRE(output.sends.size() == 1);
  CHECK(output.sends[0] == with_content_length(kAcceptXml));
  CHECK(session.input("").tunnel);
}

TEST_CASE("client: a reply that never completes is refused") {
  SUBCASE("the broker has no more") {
    auto session = at_create();
    CHECK(session.input("Content-length: 500\r\n200 Success\r\n").sends == std::vector<std::string>{""});
    CHECK(session.input("").failure->kind == FailureKind::kBadReply);
  }
  SUBCASE("or repeats itself for ever") {
    auto session = at_create();
    ClientSession::Output output;
    for (int i = 0; i < 10000 && !output.is_done(); ++i)
      output = session.input("Content-length: 8000\r\n200");
    CHECK(output.failure);
  }
}

TEST_CASE("client: lies in Content-length and truncation at every byte never give a tunnel") {
  const auto whole = info_reply();
  for (std::size_t size = 0; size + 3 < whole.size(); ++size) {
    CAPTURE(size);
    auto session = at_create();
    const auto output = session.input(std::string_view(whole).substr(0, size));
    CHECK_FALSE(output.tunnel);
    for (const auto& text : output.sends) CHECK(text.empty());
    if (output.failure) check_message(*output.failure);
  }
  const auto body = whole.substr(whole.find('\n') + 1);
  for (const std::string number : {"-1", "99999999999999999999", "8193", "0", "5", "100", "", "x"}) {
    CAPTURE(number);
    auto session = at_create();
    const auto output = session.input("Content-length: " + number + "\r\n" + body);
    REQUIRE(output.failure);
    check_message(*output.failure);
  }
  // Longer than what came: the rest is asked for, and there is none.
  auto session = at_create();
  session.input("Content-length: 8000\r\n" + body);
  CHECK(session.input("").failure);
}

TEST_CASE("client: parameters that were not asked for are refused") {
  const auto outcome = [](const ClientProfile& profile, const TunnelInfo& tunnel) {
    auto session = at_create(profile);
    const auto output = session.input(info_reply(tunnel));
    CHECK(output.is_done() == output.failure.has_value());
    if (output.failure) CHECK(output.failure->kind == FailureKind::kBadParameters);
    return !output.failure.has_value();
  };
  auto tunnel = recorded_tunnels().front().tunnel;
  auto profile = profile_of("anonymous-rudp");
  CHECK(outcome(profile, tunnel));
  profile.request.mode = Mode::kV6V4;
  CHECK_FALSE(outcome(profile, tunnel));
  profile = profile_of("router-56-rudp");
  CHECK_FALSE(outcome(profile, tunnel));
  tunnel.prefix = sixlink::net::Prefix::parse("2001:db8:aa:bb00::/56");
  CHECK(outcome(profile, tunnel));
  auto over_tcp = at_create(profile_of("anonymous-tcp"));
  CHECK(over_tcp.input(info_reply()).failure);
  // v6anyv4 is the broker's choice between two modes, not between all.
  profile = profile_of("anonymous-rudp");
  profile.request.mode = Mode::kV6AnyV4;
  tunnel = recorded_tunnels().front().tunnel;
  tunnel.mode = Mode::kV6V4;
  CHECK(outcome(profile, tunnel));
  tunnel.mode = Mode::kV4V6;
  tunnel.keepalive_interval.reset();
  tunnel.prefix.reset();
  CHECK_FALSE(outcome(profile, tunnel));
}

TEST_CASE("client: version 1.0.1 has its tunnel without an accept") {
  auto profile = profile_of("anonymous-rudp");
  profile.version = "1.0.1";
  auto session = at_create(profile);
  const auto output = session.input(info_reply());
  CHECK(output.tunnel);
  CHECK(output.sends.empty());
}

TEST_CASE("client: what comes after the end is a bad reply") {
  auto session = at_create();
  session.input(info_reply());
  CHECK(session.input("").tunnel);
  CHECK(session.input(info_reply()).failure->kind == FailureKind::kBadReply);
}

TEST_CASE("client: replies out of order never give a tunnel nor the password") {
  const std::string replies[] = {kCapability,
                                 "200 Success\r\n",
                                 info_reply(),
                                 "",
                                 "CAPABILITY\r\n",
                                 "\0\0\0"s,
                                 "HTTP/1.1 400 Bad Request\r\n"};
  for (const auto auth : {ClientAuth::kAnonymous, ClientAuth::kAny, ClientAuth::kDigestMd5}) {
    for (const auto& first : replies) {
      for (const auto& second : replies) {
        for (const auto& third : replies) {
          ClientSession session(with_auth(auth));
          session.start();
          bool has_tunnel = false;
          for (const auto& reply : {first, second, third}) {
            const auto output = session.input(reply);
            has_tunnel = has_tunnel || output.tunnel;
            for (const auto& text : output.sends) CHECK(text.find("s3cret") == std::string::npos);
            if (output.failure) check_message(*output.failure);
            if (output.is_done()) break;
          }
          CHECK_FALSE(has_tunnel);
        }
      }
    }
  }
}

TEST_CASE(
    "client: mutated recorded servers never crash it, what it takes is valid, and the next good session "
    "works") {
  std::mt19937 random(0xC11E);
  unsigned tunnels = 0;
  for (int round = 0; round < 6000; ++round) {
    const auto& recorded = recorded_tunnels()[random() % recorded_tunnels().size()];
    const auto replies = mutated(recorded.sent_by(false), random);
    const auto outcome = recorded.profile.transport == Transport::kRudp ? run_rudp(recorded.profile, replies)
                                                                        : run_tcp(recorded.profile, replies);
    if (outcome.failure) check_message(*outcome.failure);
    if (outcome.tunnel) {
      ++tunnels;
      REQUIRE(parse_info(outcome.tunnel->to_xml()).has_value());
    }
  }
  CHECK(tunnels > 0);
  for (const auto& recorded : recorded_tunnels()) {
    const auto replies = recorded.sent_by(false);
    CHECK((recorded.profile.transport == Transport::kRudp ? run_rudp(recorded.profile, replies)
                                                          : run_tcp(recorded.profile, replies))
              .tunnel);
  }
}

TEST_CASE("client: our client and our server come to the same tunnel, by every method and transport") {
  for (const auto transport : {Transport::kRudp, Transport::kTcp}) {
    for (const auto auth :
         {ClientAuth::kAnonymous, ClientAuth::kAny, ClientAuth::kPlain, ClientAuth::kDigestMd5}) {
      for (const auto version : kVersions) {
        CAPTURE(version);
        auto profile = with_auth(auth, transport);
        profile.version = version;
        profile.request.mode = Mode::kV6AnyV4;
        auto tunnel = recorded_tunnels().front().tunnel;
        if (transport == Transport::kTcp) tunnel.mode = Mode::kV6V4;
        RecordedUsers users;
        const auto policy = recorded_policy();
        RudpBroker rudp(policy, users, "n", tunnel);
        TcpBroker tcp(policy, users, "n", tunnel);
        Framer framer(Framer::Side::kClient);
        ClientSession client(profile);
        auto output = client.start();
        std::uint32_t sequence = 0xF00000F0;
        std::vector<std::string> pending;
        for (int i = 0; i < 30; ++i) {
          for (const auto& text : output.sends) {
            if (transport == Transport::kRudp) {
              for (auto& reply : rudp.input(text_of(make_rudp({sequence++, 0}, text))))
                pending.push_back(reply.substr(8));
            } else {
              for (const auto& reply : tcp.input(text)) REQUIRE(framer.append(reply));
            }
          }
          if (output.is_done()) break;
          while (auto message = framer.next()) pending.push_back(*message);
          REQUIRE_FALSE(pending.empty());
          output = client.input(pending.front());
          pending.erase(pending.begin());
        }
        REQUIRE(output.tunnel);
        CHECK(output.tunnel->to_xml() == tunnel.to_xml());
        CHECK((transport == Transport::kRudp ? rudp.session : tcp.session).is_accepted());
        CHECK((transport == Transport::kRudp ? rudp.session : tcp.session).user() ==
              (auth == ClientAuth::kAnonymous ? "" : "alice"));
      }
    }
  }
}
