// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/doctor.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/json.hpp>
#include <fstream>
#include <thread>

#include "src/client/doctor_checks.h"
#include "src/mesh/control_message.h"
#include "src/mesh/control_parts.h"
#include "src/mesh/seen_endpoint.h"
#include "src/tsp/rudp.h"
#include "tests/unit/pki/mesh_certificates.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::client;
using Result = Finding::Result;
using std::chrono::hours;
using std::chrono::seconds;
using test::kNow;

namespace {

namespace asio = boost::asio;

MeshIdentity make_identity(const pki::Authority& authority, test::Node node) {
  return {{authority.certificate()},
          pki::TrustAnchor({authority.certificate()}),
          *node.certificate,
          std::move(node.key),
          *pki::WireguardKeyPair::generate(),
          {},
          {}};
}

ApiResult<SeenAddress> seen(const char* address, std::optional<WallTime> date = kNow) {
  return {SeenAddress{asio::ip::make_address(address), 4000, date}, {}};
}

mesh::ContactEndpoint on_loopback(std::uint16_t port, mesh::Transport transport) {
  return {asio::ip::address_v4::loopback(), port, transport, mesh::EndpointKind::kPublic};
}

}  // namespace

TEST_CASE("doctor: findings for people, for programs and as an exit status") {
  const std::vector<Finding> findings{{Result::kOk, "clock", "agrees", {}},
                                      {Result::kWarning, "mtu", "is small", "raise it"}};
  CHECK(exit_status_of(findings) == 0);
  CHECK(render_findings(findings) ==
        "ok       clock        agrees\nwarning  mtu          is small\n                      raise it\n");
  auto failed = findings;
  failed.push_back({Result::kFailed, "udp", "nobody answers", "open it"});
  CHECK(exit_status_of(failed) == 1);
  const auto json = boost::json::parse(findings_to_json(failed)).as_object();
  CHECK(json.at("ok") == false);
  CHECK(json.at("checks").at(2).at("result") == "failed");
  CHECK(json.at("checks").at(0).at("advice").is_null());
}

TEST_CASE("doctor: certificate") {
  const auto authority = pki::Authority::create(test::kNetwork, "a mesh", test::kYear);
  auto identity = make_identity(authority, test::Node(authority, "2001:db8:42:7::/64", 7));
  CHECK(check_certificate(identity, kNow).result == Result::kOk);
  CHECK(check_certificate(identity, test::kYear.until - hours(24)).result == Result::kWarning);
  CHECK(check_certificate(identity, test::kYear.until + hours(24)).result == Result::kFailed);
  CHECK(check_certificate(identity, test::kYear.from - hours(24)).text.find("set the clock") !=
        std::string::npos);
  mesh::NetworkParameters parameters;
  parameters.version = 2;
  parameters.network = test::kNetwork;
  parameters.revoked.insert(identity.certificate.serial());
  identity.parameters = mesh::sign_parameters(parameters, authority);
  const auto revoked = check_certificate(identity, kNow);
  CHECK(revoked.result == Result::kFailed);
  CHECK(revoked.text.find("revoked") != std::string::npos);
}

TEST_CASE("doctor: clock") {
  CHECK(check_clock(seen("192.0.2.1"), kNow + seconds(5)).result == Result::kOk);
  CHECK(check_clock(seen("192.0.2.1"), kNow - seconds(60)).result == Result::kWarning);
  const auto ahead = check_clock(seen("192.0.2.1"), kNow + hours(1));
  CHECK(ahead.result == Result::kFailed);
  CHECK(ahead.text.find("3600 s ahead of") != std::string::npos);
  CHECK(check_clock(seen("192.0.2.1", std::nullopt), kNow).result == Result::kSkipped);
  CHECK(check_clock({}, kNow).result == Result::kSkipped);
}

TEST_CASE("doctor: babeld") {
  const test::TemporaryDirectory directory;
  const auto program = [&](const std::string& name, const std::string& body) {
    const auto path = directory.file(name);
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    ::chmod(path.c_str(), 0755);
    return path;
  };
  CHECK(check_babeld("no-such-program-anywhere").result == Result::kFailed);
  CHECK(check_babeld(directory.file("missing")).result == Result::kFailed);
  const auto good = check_babeld(program("good", "echo babeld-1.12.1 >&2"));
  CHECK(good.result == Result::kOk);
  CHECK(good.text.find("babeld-1.12.1") != std::string::npos);
  CHECK(check_babeld(program("other", "echo routed")).result == Result::kFailed);
  CHECK(check_babeld(program("silent", "sleep 30")).result == Result::kFailed);
}

TEST_CASE("doctor: NAT, as a running node knows it, or as the registry sees this machine") {
  const auto told = [](const ApiResult<SeenAddress>& address, std::string_view status) {
    return check_nat(address, nat_of(status), {});
  };
  CHECK(told(seen("192.0.2.1"), R"({"nat":"none"})").result == Result::kOk);
  CHECK(told({}, R"({"nat":"independent"})").result == Result::kOk);
  const auto symmetric = told({}, R"({"nat":"dependent"})");
  CHECK(symmetric.result == Result::kWarning);
  CHECK(symmetric.advice.find("endpoint=") != std::string::npos);
  CHECK(told({}, "").result == Result::kSkipped);
  CHECK(told(seen("127.0.0.1"), "").text.find("none") != std::string::npos);
  CHECK(told(seen("127.0.0.9"), R"({"nat":"unknown"})").text.find("127.0.0.9") != std::string::npos);
}

TEST_CASE("doctor: MTU") {
  const auto loopback = asio::ip::make_address("127.0.0.1");
  CHECK(check_mtu(loopback, 1420).result == Result::kOk);
  CHECK(check_mtu(std::nullopt, 1420).result == Result::kSkipped);
}

TEST_CASE("doctor: the running program") {
  CHECK(check_node(R"({"kind":"node","state":"up"})", "").result == Result::kOk);
  const auto alone = check_node(R"({"kind":"node","state":"alone","last_error":"nobody answers"})", "");
  CHECK(alone.result == Result::kFailed);
  CHECK(alone.text.find("nobody answers") != std::string::npos);
  CHECK(check_node("", "no such file").result == Result::kWarning);
  CHECK(check_node(R"({"state":"up","mode":"v6v4"})", "").text.find("tunnel client") != std::string::npos);
}

TEST_CASE("doctor: the registry") {
  ApiResult<SeenAddress> foreign;
  foreign.error = {ApiFailure::kNotTrusted, 0, "", "it is another", {}};
  CHECK(check_registry(foreign, std::nullopt).result == Result::kFailed);
  CHECK(check_registry({}, std::nullopt).result == Result::kWarning);
  ApiResult<FetchedParameters> revoked;
  revoked.error = {ApiFailure::kRefused, 403, "revoked", "the certificate was revoked", {}};
  CHECK(check_registry(seen("192.0.2.1"), revoked).result == Result::kFailed);
  CHECK(check_registry(seen("192.0.2.1"), ApiResult<FetchedParameters>{FetchedParameters{}, {}}).result ==
        Result::kOk);
}

TEST_CASE("doctor: UDP gets through when a node answers, and not when anybody else does") {
  asio::io_context io;
  asio::ip::udp::socket node(io, {asio::ip::address_v4::loopback(), 0});
  const KnownEndpoints known{{on_loopback(node.local_endpoint().port(), mesh::Transport::kUdp)}, {}, {}};
  CHECK(check_udp({}, {}, true).result == Result::kSkipped);
  for (const bool is_node : {false, true}) {
    CAPTURE(is_node);
    std::thread thread([&] {
      std::array<std::uint8_t, 1500> buffer{};
      asio::ip::udp::endpoint from;
      const auto size = node.receive_from(asio::buffer(buffer), from);
      const auto message = tsp::parse_rudp({buffer.data(), size});
      REQUIRE(message);
      const auto echo = mesh::parse_outer_echo(message->text);
      REQUIRE(echo);
      CHECK_FALSE(echo->is_response);
      const auto nonce = is_node ? echo->nonce : echo->nonce + 1;
      const auto answer = tsp::make_rudp(message->header, mesh::outer_echo({true, nonce, 9, 0}));
      node.send_to(asio::buffer(answer), from);
    });
    const auto finding = check_udp(known, {}, true);
    thread.join();
    CHECK(finding.result == (is_node ? Result::kOk : Result::kWarning));
    // What was asked again meanwhile.
    node.non_blocking(true);
    boost::system::error_code error;
    std::array<std::uint8_t, 1500> rest{};
    while (!error) node.receive(asio::buffer(rest), 0, error);
    node.non_blocking(false);
  }
}

TEST_CASE("doctor: TCP gets through when a connection is taken") {
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  const auto port = acceptor.local_endpoint().port();
  CHECK(check_tcp({}).result == Result::kSkipped);
  CHECK(check_tcp({{}, {on_loopback(port, mesh::Transport::kTcp)}, {}}).result == Result::kOk);
  acceptor.close();
  CHECK(check_tcp({{}, {on_loopback(port, mesh::Transport::kTcp)}, {}}).result == Result::kWarning);
}

namespace {

// A node at an address of this machine's, which tells whoever asks for another one's link where he is seen.
class Observer {
 public:
  // As through a NAT that gives `port` towards it; 0: without one.
  Observer(const char* address, std::uint16_t port, bool is_silent = false)
      : port_(port), is_silent_(is_silent), socket_(io_, {asio::ip::make_address(address), 0}) {
    receive();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Observer() {
    io_.stop();
    thread_.join();
  }
  mesh::ContactEndpoint endpoint() const {
    const auto local = socket_.local_endpoint();
    return {local.address(), local.port(), mesh::Transport::kUdp, mesh::EndpointKind::kPublic};
  }
  std::atomic<int> asked = 0;
  // Not a node, but the registry, which sees that port.
  static constexpr std::uint16_t kRegistry = 4443;

 private:
  void receive() {
    socket_.async_receive_from(asio::buffer(buffer_), from_, [this](const auto& error, std::size_t size) {
      if (error) return;
      if (port_ == kRegistry) tell_as_registry(size);
      const auto message = tsp::parse_rudp(std::span(buffer_).first(size));
      if (message && !is_silent_) answer(*message);
      receive();
    });
  }
  // Also when somebody else asks.
  void tell_as_registry(std::size_t size) {
    const auto answer = mesh::answer_endpoint_request(std::span(buffer_).first(size),
                                                      {asio::ip::make_address("203.0.113.9"), kRegistry});
    if (answer.empty()) return;
    ++asked;
    socket_.send_to(asio::buffer(answer), from_);
  }
  void answer(const tsp::RudpMessage& message) {
    if (const auto echo = mesh::parse_outer_echo(message.text)) {
      socket_.send_to(
          asio::buffer(tsp::make_rudp(message.header, mesh::outer_echo({true, echo->nonce, kCookie, 0}))),
          from_);
      return;
    }
    const auto part = mesh::parse_part(message.text);
    const auto request = part && part->cookie == kCookie ? mesh::parse_control(part->bytes) : std::nullopt;
    if (!request || request->kind != mesh::ControlKind::kCreate || !request->to) return;
    ++asked;
    mesh::ControlMessage answer;
    answer.kind = mesh::ControlKind::kAnswer;
    answer.status = 502;
    answer.nonce = request->nonce;
    answer.observed = from_;
    if (port_ != 0) answer.observed = asio::ip::udp::endpoint(asio::ip::make_address("203.0.113.9"), port_);
    for (const auto& bytes : mesh::make_parts(0xF0000007, 0, 0, to_text(answer)))
      socket_.send_to(asio::buffer(bytes), from_);
  }

  static constexpr std::uint64_t kCookie = 77;
  std::uint16_t port_;
  bool is_silent_;
  asio::io_context io_{1};
  asio::ip::udp::socket socket_;
  asio::ip::udp::endpoint from_;
  std::array<std::uint8_t, 2048> buffer_{};
  std::thread thread_;
};

Finding survey_by(std::initializer_list<const Observer*> observers,
                  const std::vector<asio::ip::udp::endpoint>& registry = {}) {
  KnownEndpoints known;
  known.registry = registry;
  for (const auto* one : observers) known.udp.push_back(one->endpoint());
  return check_nat(seen("203.0.113.9"), mesh::NatKind::kUnknown,
                   ask_where_seen(known, *net::Prefix::parse("2001:db8:42:7::/64")));
}

}  // namespace

TEST_CASE("doctor: without a node the kind of NAT is asked of other nodes") {
  const Observer first("127.0.0.1", 4000);
  const Observer second("127.0.0.2", 4000);
  const Observer third("127.0.0.3", 4001);
  const Observer silent("127.0.0.4", 4000, true);
  const auto same = survey_by({&first, &second});
  CHECK(same.result == Result::kOk);
  CHECK(same.text.find("hole punching passes") != std::string::npos);
  CHECK(same.text.find("2 others see 203.0.113.9:4000") != std::string::npos);
  const auto symmetric = survey_by({&first, &third});
  CHECK(symmetric.result == Result::kWarning);
  CHECK(symmetric.text.find("127.0.0.1 sees 203.0.113.9:4000, and 127.0.0.3 sees 203.0.113.9:4001") !=
        std::string::npos);
  CHECK(symmetric.advice.find("endpoint=") != std::string::npos);
  // One alone says that there is one, and not which.
  const auto alone = survey_by({&first, &silent});
  CHECK(alone.result == Result::kWarning);
  CHECK(alone.text.find("127.0.0.1 sees 203.0.113.9") != std::string::npos);
  CHECK(alone.text.find("it takes two") != std::string::npos);
  const auto nobody = survey_by({&silent});
  CHECK(nobody.text.find("none of the 1 that were asked answers") != std::string::npos);
  CHECK(nobody.text.find("the registry sees 203.0.113.9") != std::string::npos);
  CHECK(survey_by({}).text.find("no other node with an IPv4 address is known") != std::string::npos);
  CHECK(first.asked == 3);
}

TEST_CASE("doctor: the registry's is a second opinion of the NAT, and says whether UDP gets out") {
  const Observer registry("127.0.0.5", Observer::kRegistry);
  const Observer node("127.0.0.1", 4000);
  const auto at = registry.endpoint();
  const std::vector<asio::ip::udp::endpoint> asked{{at.address, at.port}};
  const auto alone = survey_by({}, asked);
  CHECK(alone.text.find("the registry sees 203.0.113.9. ") != std::string::npos);
  CHECK(alone.text.find("only the registry tells where it sees this machine: it takes two") !=
        std::string::npos);
  CHECK(registry.asked == 1);
  const auto two = survey_by({&node}, asked);
  CHECK(two.text.find("the registry sees 203.0.113.9:4443, and 127.0.0.1 sees 203.0.113.9:4000") !=
        std::string::npos);

  KnownEndpoints known;
  known.registry = asked;
  const auto own = *net::Prefix::parse("2001:db8:42:7::/64");
  const auto answered = check_udp(known, ask_where_seen(known, own), true);
  CHECK(answered.result == Result::kOk);
  CHECK(answered.text.find("the registry answers") != std::string::npos);
  const Observer silent("127.0.0.6", 0, true);
  known.registry = {{silent.endpoint().address, silent.endpoint().port}};
  const auto blocked = check_udp(known, ask_where_seen(known, own), true);
  CHECK(blocked.result == Result::kWarning);
  CHECK(blocked.text.find("the registry does not answer at 127.0.0.6:") != std::string::npos);
  CHECK(blocked.advice.find("let UDP out") != std::string::npos);
}

TEST_CASE("doctor: a machine that others see as it is has no NAT") {
  const Observer first("127.0.0.1", 0);
  const auto found = survey_by({&first});
  CHECK(found.result == Result::kOk);
  CHECK(found.text.find("none: ") != std::string::npos);
}
