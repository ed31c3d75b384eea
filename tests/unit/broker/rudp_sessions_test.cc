// SPDX-License-Identifier: BSD-3-Clause
#include "registry/broker/rudp_sessions.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/broker/fake_broker.h"

using namespace sixlink;
using namespace sixlink::registry;
using namespace std::chrono_literals;
using boost::asio::ip::address;
using boost::asio::ip::address_v4;
using boost::asio::ip::address_v6;
using boost::asio::ip::make_address;
using boost::asio::ip::udp;
using test::authenticate;
using test::create_message;

namespace {

constexpr std::uint32_t kFirst = 0xF00000F0;
const auto kLocal = make_address("198.51.100.1");

struct Sent {
  std::size_t socket = 0;
  udp::endpoint peer;
  address local;
  tsp::RudpHeader header;
  std::string text;
};

udp::endpoint client(unsigned host = 1, std::uint16_t port = 4000) {
  return {address_v4(0xc0000200U + host), port};
}

struct Fixture {
  tsp::ServerPolicy policy = test::broker_policy();
  test::OneUser credentials;
  test::FakeGranter granter;
  std::vector<Sent> sent;
  std::size_t nonces = 0;
  bool may_log_in = true;
  int failed_logins = 0;
  bool may_compute = true;
  int costly_logins = 0;
  int redeemed_logins = 0;
  struct Release {
    tsp::DeleteRequest request;
    Requester requester;
    Granter::Released done;
  };
  std::vector<Release> releases;
  std::unique_ptr<RudpSessions> sessions = make({4096, 256});
  RudpSessions::TimePoint now{1000h};

  std::unique_ptr<RudpSessions> make(const RudpSessions::Settings& settings) {
    RudpSessions::Hooks hooks;
    hooks.send = [this](std::size_t socket, const udp::endpoint& peer, const address& local,
                        const std::vector<std::uint8_t>& datagram) {
      const auto message = tsp::parse_rudp(datagram);
      REQUIRE(message);
      sent.push_back({socket, peer, local, message->header, std::string(message->text)});
    };
    hooks.grant = [this](const tsp::CreateRequest& request, const Requester& requester, Granter::Done done) {
      granter.grant(request, requester, std::move(done));
    };
    hooks.rejected = [this](const address&, std::string_view why) { ++granter.rejected[std::string(why)]; };
    hooks.may_log_in = [this](const address&) { return may_log_in; };
    hooks.login_failed = [this](const address&) { ++failed_logins; };
    hooks.make_nonce = [this] { return "nonce" + std::to_string(++nonces); };
    hooks.begin_costly_login = [this](const address&) {
      ++costly_logins;
      return may_compute;
    };
    hooks.costly_login_done = [this](const address&) { ++redeemed_logins; };
    hooks.release = [this](const tsp::DeleteRequest& request, const Requester& requester,
                           Granter::Released done) {
      releases.push_back({request, requester, std::move(done)});
    };
    return std::make_unique<RudpSessions>(settings, policy, credentials, std::move(hooks));
  }

  // The one answer; nullopt: none.
  std::optional<Sent> say(std::uint32_t sequence, const std::string& text,
                          const udp::endpoint& peer = client(), std::uint32_t timestamp = 7,
                          const address& local = kLocal, std::size_t socket = 0) {
    const auto before = sent.size();
    sessions->input(socket, peer, local, tsp::make_rudp({sequence, timestamp}, text), now);
    REQUIRE(sent.size() <= before + 1);
    if (sent.size() == before) return std::nullopt;
    CHECK(sent.back().header.sequence == sequence);
    CHECK(sent.back().header.timestamp == timestamp);
    CHECK(sent.back().peer == peer);
    return sent.back();
  }
  std::string text_of(std::uint32_t sequence, const std::string& text, const udp::endpoint& peer = client()) {
    const auto answer = say(sequence, text, peer);
    REQUIRE(answer);
    return answer->text;
  }
  // As far as AUTHENTICATE, which takes a session.
  bool begin(const udp::endpoint& peer, std::uint32_t sequence = kFirst) {
    (void)say(sequence, "VERSION=2.0.2\r\n", peer);
    const auto answer = say(sequence + 1, authenticate("ANONYMOUS"), peer);
    return answer && answer->text == "200 Success\r\n";
  }
};

bool is_info(const std::string& text) {
  return text.starts_with("Content-length: ") &&
         text.find("200 Success\r\n<tunnel action=\"info\"") != std::string::npos;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "rudp sessions: a whole negotiation, each message answered once") {
  CHECK(
      text_of(kFirst, "VERSION=2.0.2\r\n") ==
      "CAPABILITY TUNNEL=V6V4 TUNNEL=V6UDPV4 TUNNEL=V6ANYV4 AUTH=ANONYMOUS AUTH=PLAIN AUTH=DIGEST-MD5 \r\n");
  CHECK(text_of(kFirst + 1, authenticate("ANONYMOUS")) == "200 Success\r\n");
  CHECK(is_info(text_of(kFirst + 2, create_message())));
  CHECK(text_of(kFirst + 3, tsp::with_content_length(tsp::kAcceptXml)).empty());  // the bare header
  CHECK(sent.size() == 4);
  REQUIRE(granter.asked.size() == 1);
  const auto& requester = granter.asked[0].requester;
  CHECK(requester.user.empty());
  CHECK(requester.transport == tsp::Transport::kRudp);
  CHECK(requester.peer == client().address());
  CHECK(requester.port == 4000);
  CHECK(requester.local == kLocal);
  CHECK(granter.rejected.empty());
}

TEST_CASE_FIXTURE(Fixture, "rudp sessions: PLAIN and DIGEST-MD5") {
  CHECK(text_of(kFirst, authenticate("PLAIN")).empty());
  CHECK(text_of(kFirst + 1, std::string("\0alice\0s3cret\r\n", 15)) == "200 Success\r\n");
  CHECK(is_info(text_of(kFirst + 2, create_message())));
  CHECK(granter.asked.at(0).requester.user == "alice");

  const auto other = client(2);
  const auto challenge = text_of(kFirst, authenticate("DIGEST-MD5"), other);
  CHECK(tsp::base64_decode(text_of(kFirst + 1, test::digest_answer(challenge), other))
            .value()
            .starts_with("rspauth="));
  CHECK(text_of(kFirst + 2, "", other) == "200 Success\r\n");
  CHECK(is_info(text_of(kFirst + 3, create_message(), other)));
  CHECK(granter.asked.at(1).requester.user == "alice");

  const auto wrong = client(3);
  const auto second = text_of(kFirst, authenticate("DIGEST-MD5"), wrong);
  CHECK(second != challenge);
  CHECK(text_of(kFirst + 1, test::digest_answer(second, "wrong"), wrong).starts_with("300 "));
  CHECK(text_of(kFirst + 2, create_message(), wrong).find("300 ") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "rudp sessions: a retransmitted create allocates once and gets the same answer") {
  REQUIRE(begin(client()));
  const auto first = say(kFirst + 2, create_message(), client(), 100);
  const auto again = say(kFirst + 2, create_message(), client(), 2100);
  REQUIRE(first);
  REQUIRE(again);
  CHECK(first->text == again->text);
  CHECK(granter.asked.size() == 1);
  for (std::uint32_t copy = 0; copy < 10; ++copy)
    CHECK(say(kFirst + 2, create_message(), client(), copy)->text == first->text);
  CHECK(granter.asked.size() == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "rudp sessions: copies that arrive while the lease is written are not answered, the first "
                  "one is when it is there") {
  granter.answers_at_once = false;
  REQUIRE(begin(client()));
  CHECK_FALSE(say(kFirst + 2, create_message(), client(), 100));
  CHECK_FALSE(say(kFirst + 2, create_message(), client(), 200));
  CHECK_FALSE(say(kFirst + 2, create_message(), client(), 300));
  REQUIRE(granter.asked.size() == 1);
  const auto before = sent.size();
  granter.asked[0].done(test::granted_tunnel(2));
  REQUIRE(sent.size() == before + 1);
  CHECK(is_info(sent.back().text));
  CHECK(sent.back().header.sequence == kFirst + 2);
  CHECK(say(kFirst + 2, create_message(), client(), 400)->text == sent.back().text);
}

TEST_CASE_FIXTURE(Fixture, "rudp sessions: a refusal is answered too") {
  granter.answers_at_once = false;
  REQUIRE(begin(client()));
  CHECK_FALSE(say(kFirst + 2, create_message()));
  granter.asked.at(0).done(310);
  CHECK(sent.back().text == tsp::with_content_length(tsp::status_line(tsp::kServerError)));
  CHECK_FALSE(say(kFirst + 3, create_message()));  // and may be tried again
  CHECK(granter.asked.size() == 2);
}

TEST_CASE_FIXTURE(Fixture,
                  "rudp sessions: a client that starts over at the same endpoint begins a new session") {
  for (int round = 0; round < 5; ++round) {
    REQUIRE(begin(client()));
    CHECK(is_info(text_of(kFirst + 2, create_message())));
    CHECK(sessions->size() == 1);
  }
  CHECK(granter.asked.size() == 5);
  CHECK(nonces == 5);
}

TEST_CASE_FIXTURE(Fixture, "rudp sessions: late copies of VERSION and AUTHENTICATE do not begin anew") {
  (void)say(kFirst, "VERSION=2.0.2\r\n", client(), 0);
  const auto challenge = say(kFirst + 1, authenticate("DIGEST-MD5"), client(), 10)->text;
  (void)say(kFirst, "VERSION=2.0.2\r\n", client(), 2000);
  CHECK(say(kFirst + 1, authenticate("DIGEST-MD5"), client(), 2010)->text == challenge);
  CHECK(nonces == 1);
  CHECK(tsp::base64_decode(text_of(kFirst + 2, test::digest_answer(challenge)))
            .value()
            .starts_with("rspauth="));
}

TEST_CASE_FIXTURE(
    Fixture,
    "rudp sessions: failed logins are told of, end the session, and an address with too many is put off") {
  for (std::uint32_t i = 0; i < 3; ++i) {
    CHECK(text_of(kFirst + 2 * i, authenticate("PLAIN")).empty());
    CHECK(text_of(kFirst + 2 * i + 1, std::string("\0alice\0wrong1\r\n", 15)).starts_with("300 "));
  }
  CHECK(failed_logins == 3);
  CHECK(sessions->size() == 0);
  may_log_in = false;
  CHECK(text_of(kFirst, authenticate("PLAIN")).starts_with("530 "));
  CHECK(granter.rejected["too many failed logins"] == 1);
  CHECK(sessions->size() == 0);
  CHECK(begin(client()));  // without a password there is nothing to guess
}

TEST_CASE_FIXTURE(Fixture, "rudp sessions: logins that began together share one budget") {
  const std::string right = std::string(1, '\0') + "alice" + std::string(1, '\0') + "s3cret\r\n";
  CHECK(text_of(kFirst, authenticate("PLAIN")).empty());
  const auto challenge = text_of(kFirst, authenticate("DIGEST-MD5"), client(2));
  // Meanwhile others of that address have used it up.
  may_log_in = false;
  CHECK(text_of(kFirst + 1, right).starts_with("530 "));
  CHECK(text_of(kFirst + 1, test::digest_answer(challenge), client(2)).starts_with("530 "));
  CHECK(granter.rejected["too many failed logins"] == 2);
  may_log_in = true;
  CHECK(text_of(kFirst + 2, authenticate("PLAIN")).empty());
  CHECK(text_of(kFirst + 3, right).starts_with("200 "));
}

TEST_CASE_FIXTURE(Fixture, "rudp sessions: a lease for a session that began anew meanwhile answers nobody") {
  granter.answers_at_once = false;
  REQUIRE(begin(client()));
  CHECK_FALSE(say(kFirst + 2, create_message()));
  REQUIRE(begin(client()));
  const auto before = sent.size();
  granter.asked.at(0).done(test::granted_tunnel(2));
  CHECK(sent.size() == before);
  CHECK_FALSE(say(kFirst + 2, create_message()));
  granter.asked.at(1).done(test::granted_tunnel(3));
  CHECK(is_info(sent.back().text));
}

TEST_CASE_FIXTURE(Fixture, "rudp sessions: old sequence numbers are ignored") {
  REQUIRE(begin(client()));
  (void)text_of(kFirst + 2, create_message());
  CHECK_FALSE(say(kFirst + 1, authenticate("ANONYMOUS")));
  CHECK_FALSE(say(kFirst - 5, create_message()));
  CHECK(granter.rejected["old sequence number"] == 2);
  CHECK(granter.asked.size() == 1);
  CHECK(text_of(kFirst + 3, tsp::with_content_length(tsp::kAcceptXml)).empty());
}

TEST_CASE_FIXTURE(Fixture, "rudp sessions: what cannot begin a session is counted and takes no memory") {
  for (const std::string& text : {create_message(), std::string(), std::string("\0alice\0s3cret\r\n", 15),
                                  std::string("hello\r\n"), tsp::with_content_length(tsp::kAcceptXml)}) {
    CHECK_FALSE(say(kFirst, text));
  }
  CHECK(granter.rejected["message outside a session"] == 5);
  sessions->input(0, client(), kLocal, std::vector<std::uint8_t>{0xf0, 0, 0}, now);
  CHECK(granter.rejected["no RUDP header"] == 1);
  REQUIRE(begin(client()));
  CHECK_FALSE(say(kFirst + 2, std::string(20000, 'x')));
  CHECK(granter.rejected["oversized message"] == 1);
  CHECK(is_info(text_of(kFirst + 2, create_message())));
}

TEST_CASE_FIXTURE(Fixture, "rudp sessions: a flood of VERSION and ECHO REQUEST takes no memory") {
  for (unsigned i = 0; i < 20000; ++i) {
    CHECK(say(kFirst, i % 2 == 0 ? "VERSION=2.0.2\r\n" : "ECHO REQUEST",
              client(i, static_cast<std::uint16_t>(i)))
              .has_value());
    sent.clear();
  }
  CHECK(sessions->size() == 0);
  CHECK(nonces == 0);
  CHECK(text_of(kFirst, "ECHO REQUEST").starts_with("200"));
  CHECK(text_of(kFirst, "VERSION=9.9\r\n").starts_with("302 "));
}

TEST_CASE_FIXTURE(
    Fixture,
    "rudp sessions: answers leave by the socket and the address that were asked, which keep sessions apart") {
  const auto other = make_address("198.51.100.2");
  const auto v6_local = make_address("2001:db8::1");
  const udp::endpoint v6_client(make_address("2001:db8:7::7"), 4000);
  const auto check = [&](std::size_t socket, const udp::endpoint& peer, const address& local) {
    std::uint32_t sequence = kFirst;
    for (const auto& text :
         {std::string("VERSION=2.0.2\r\n"), authenticate("ANONYMOUS"), create_message(), create_message()}) {
      const auto answer = say(sequence, text, peer, 1, local, socket);
      REQUIRE(answer);
      CHECK(answer->socket == socket);
      CHECK(answer->local == local);
      if (sequence < kFirst + 2) ++sequence;
    }
  };
  check(0, client(), kLocal);
  check(0, client(), other);
  check(3, v6_client, v6_local);
  CHECK(sessions->size() == 3);
  CHECK(granter.asked.size() == 3);
  CHECK(granter.asked[1].requester.local == other);
}

TEST_CASE_FIXTURE(Fixture, "rudp sessions: one address has a quota, an IPv6 /64 counts as one") {
  sessions = make({4096, 10});
  for (std::uint16_t port = 1; port <= 10; ++port) CHECK(begin(client(1, port)));
  CHECK_FALSE(begin(client(1, 11)));
  CHECK(sent.back().text.starts_with("530 "));
  CHECK(granter.rejected["too many sessions from one address"] == 1);
  CHECK(begin(client(2, 11)));
  // Sessions that are there go on, and may begin anew.
  CHECK(is_info(text_of(kFirst + 2, create_message(), client(1, 5))));
  CHECK(begin(client(1, 5)));
  const auto v6_client = [](unsigned network, unsigned host) {
    auto bytes = make_address("2001:db8::").to_v6().to_bytes();
    bytes[7] = static_cast<std::uint8_t>(network);
    bytes[15] = static_cast<std::uint8_t>(host);
    return udp::endpoint(address_v6(bytes), 4000);
  };
  for (unsigned host = 1; host <= 10; ++host) CHECK(begin(v6_client(1, host)));
  CHECK_FALSE(begin(v6_client(1, 11)));
  CHECK(begin(v6_client(2, 11)));
  CHECK(sessions->size() == 22);
  // The quota is given back.
  now += 70s;
  sessions->expire(now);
  CHECK(sessions->size() == 0);
  for (std::uint16_t port = 1; port <= 10; ++port) CHECK(begin(client(1, port)));
}

TEST_CASE_FIXTURE(Fixture,
                  "rudp sessions: under a flood the longest silent one goes, and the number stays bounded") {
  sessions = make({100, 256});
  const auto busy = client(9999);
  REQUIRE(begin(busy));
  for (unsigned i = 0; i < 5000; ++i) {
    REQUIRE(begin(client(i % 3000, static_cast<std::uint16_t>(1 + i))));
    REQUIRE(sessions->size() <= 100);
    now += 1ms;
    // Someone who goes on talking stays.
    if (i % 50 == 0) CHECK(say(kFirst + 2, create_message(), busy).has_value());
    sent.clear();
  }
  CHECK(granter.asked.size() == 1);
  CHECK(sessions->size() == 100);
  now += 70s;
  sessions->expire(now);
  CHECK(sessions->size() == 0);
}

TEST_CASE_FIXTURE(Fixture, "rudp sessions: forgotten when nothing can come any more, not before") {
  REQUIRE(begin(client(1)));
  now += 40s;
  REQUIRE(begin(client(2)));
  (void)say(kFirst + 2, create_message(),
            client(1));  // the slowest retransmissions of deployed clients are this far apart
  now += 69s;
  sessions->expire(now);
  CHECK(sessions->size() == 2);
  now += 1s;
  sessions->expire(now);
  CHECK(sessions->size() == 0);
  CHECK_FALSE(say(kFirst + 3, tsp::with_content_length(tsp::kAcceptXml), client(1)));
}

TEST_CASE_FIXTURE(Fixture,
                  "rudp sessions: a session forgotten while its lease was written is not spoken to") {
  granter.answers_at_once = false;
  REQUIRE(begin(client()));
  CHECK_FALSE(say(kFirst + 2, create_message()));
  now += 100s;
  sessions->expire(now);
  const auto before = sent.size();
  granter.asked.at(0).done(test::granted_tunnel(2));
  CHECK(sent.size() == before);
}

TEST_CASE_FIXTURE(Fixture,
                  "rudp sessions: random datagrams are survived, and the next good client is served") {
  std::mt19937 generator(5);
  const auto random = [&] { return static_cast<unsigned>(generator()); };
  sessions = make({64, 16});
  const std::string texts[] = {"VERSION=2.0.2\r\n",
                               authenticate("ANONYMOUS"),
                               authenticate("PLAIN"),
                               authenticate("DIGEST-MD5"),
                               authenticate("X"),
                               create_message(),
                               tsp::with_content_length(tsp::kAcceptXml),
                               "",
                               std::string("\0alice\0s3cret\r\n", 15),
                               "Content-length: 5\r\nabc",
                               "ECHO REQUEST"};
  for (int round = 0; round < 30000; ++round) {
    auto datagram = tsp::make_rudp({kFirst + random() % 6, static_cast<std::uint32_t>(round)},
                                   texts[random() % std::size(texts)]);
    if (random() % 4 == 0) datagram[random() % datagram.size()] = static_cast<std::uint8_t>(random());
    if (random() % 8 == 0) datagram.resize(random() % (datagram.size() + 1));
    sessions->input(0, client(random() % 40, static_cast<std::uint16_t>(1 + random() % 4)), kLocal, datagram,
                    now);
    REQUIRE(sessions->size() <= 64);
    sent.clear();
    granter.asked.clear();
    now += 10ms;
    if (round % 100 == 0) sessions->expire(now);
  }
  REQUIRE(begin(client(200)));
  CHECK(is_info(text_of(kFirst + 2, create_message(), client(200))));
}

TEST_CASE_FIXTURE(Fixture, "rudp: redirections to one address are bounded, capabilities are not") {
  int left = 2;
  sessions->limit_redirections([&](const address&) { return left-- > 0; });
  for (int i = 0; i < 5; ++i) CHECK(text_of(kFirst, "VERSION=2.0.2\r\n").starts_with("CAPABILITY"));
  policy.redirection = tsp::redirect_xml({*net::ServerAddress::parse("b.example.net")});
  policy.redirects_all = true;
  CHECK(text_of(kFirst, "VERSION=2.0.2\r\n").starts_with("1200 Redirection\r\n"));
  CHECK(text_of(kFirst, "VERSION=2.0.2\r\n").starts_with("1200 Redirection\r\n"));
  CHECK_FALSE(say(kFirst, "VERSION=2.0.2\r\n"));
  CHECK(granter.rejected["too many requests from one address"] == 1);
  CHECK(text_of(kFirst, "ECHO REQUEST") == "200 Success\r\n");
}

TEST_CASE_FIXTURE(Fixture, "rudp: a create is answered by a redirection") {
  policy.redirection = tsp::redirect_xml({*net::ServerAddress::parse("b.example.net")});
  REQUIRE(begin(client()));
  granter.answers_at_once = false;
  CHECK_FALSE(say(kFirst + 2, create_message()));
  granter.asked.back().done(static_cast<int>(tsp::kRedirection));
  CHECK(sent.back().text.starts_with("Content-length: "));
  CHECK(sent.back().text.find("1200 Redirection\r\n") != std::string::npos);
  CHECK(sent.back().text.find("b.example.net") != std::string::npos);
  CHECK(sent.back().text.back() == '\0');
}

TEST_CASE_FIXTURE(Fixture,
                  "rudp sessions: what makes us compute is counted before, and forgiven afterwards") {
  const auto key = tsp::DsaHostKey::generate();
  policy.host_key = key.get();
  policy.capabilities.auths.emplace_back(tsp::kPassDss);
  const tsp::PassDssClient client_side("alice", tsp::random_exponent());
  const auto log_in = [&](std::uint32_t from) {
    (void)say(from, "VERSION=2.0.2\r\n");
    CHECK(text_of(from + 1, authenticate("PASSDSS-3DES-1")).empty());
    return text_of(from + 2, client_side.hello());
  };
  may_compute = false;
  CHECK(log_in(kFirst).starts_with("530 "));
  CHECK(granter.rejected["too many logins"] == 1);
  may_compute = true;
  const auto challenge = log_in(kFirst + 10);
  CHECK(costly_logins == 2);
  // A copy of the message costs nothing.
  CHECK(text_of(kFirst + 12, client_side.hello()) == challenge);
  CHECK(costly_logins == 2);
  auto answering = tsp::PassDssClient("alice", tsp::random_exponent());
  (void)say(kFirst + 20, "VERSION=2.0.2\r\n");
  (void)say(kFirst + 21, authenticate("PASSDSS-3DES-1"));
  REQUIRE(answering.on_challenge(text_of(kFirst + 22, answering.hello())) == "");
  CHECK(text_of(kFirst + 23, answering.answer("s3cret")) == "200 Success\r\n");
  CHECK(redeemed_logins == 1);
  CHECK(failed_logins == 0);
}

TEST_CASE_FIXTURE(Fixture,
                  "rudp sessions: a delete is handed on with who asks, answered once, and repeated alike") {
  REQUIRE(begin(client()));
  const auto text =
      tsp::with_content_length(tsp::DeleteRequest{tsp::Mode::kV6UdpV4, make_address("2001:db8::2")}.to_xml());
  CHECK_FALSE(say(kFirst + 2, text));
  CHECK_FALSE(say(kFirst + 2, text));  // under way
  REQUIRE(releases.size() == 1);
  CHECK(releases[0].request.client_inner == make_address("2001:db8::2"));
  CHECK(releases[0].requester.port == 4000);
  CHECK(releases[0].requester.transport == tsp::Transport::kRudp);
  releases[0].done(200);
  REQUIRE(sent.back().header.sequence == kFirst + 2);
  CHECK(sent.back().text == tsp::with_content_length("200 Success\r\n"));
  CHECK(text_of(kFirst + 2, text) == sent.back().text);
  CHECK(releases.size() == 1);
  // Its session was forgotten meanwhile: nobody to answer.
  (void)say(kFirst + 3, text);
  REQUIRE(releases.size() == 2);
  sessions->expire(now + 1h);
  const auto before = sent.size();
  releases[1].done(200);
  CHECK(sent.size() == before);
}
