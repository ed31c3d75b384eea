// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/broker_search.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <sstream>

#include "src/tsp/rudp.h"
#include "src/tsp/status.h"
#include "tests/unit/net/run_coroutine.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::udp;
using client::BrokerSearch;
using client::Failed;
using client::Grant;
using test::content_of;

namespace {

// A broker over UDP at a port of its own on the loopback interface.
class FakeBroker {
 public:
  explicit FakeBroker(asio::io_context& io)
      : socket_(io, udp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    receive();
  }
  std::string text() const { return "127.0.0.1:" + std::to_string(socket_.local_endpoint().port()); }

  // One of these at most; none: it grants.
  std::vector<std::string> redirects_to;
  int refuses_with = 0;  // in reply to AUTHENTICATE

  unsigned ignores = 0;  // so many messages are lost

  bool answers_echo = true;
  std::chrono::milliseconds delay{0};  // of echoes
  unsigned echoes = 0;
  unsigned sessions = 0;

 private:
  std::string answer(std::string_view message) {
    if (message.starts_with("VERSION=")) {
      ++sessions;
      if (redirects_to.empty()) return "CAPABILITY TUNNEL=V6UDPV4 AUTH=ANONYMOUS \r\n";
      tsp::BrokerList brokers;
      for (const auto& broker : redirects_to) brokers.push_back(*net::ServerAddress::parse(broker));
      return tsp::status_line(1200) + tsp::redirect_xml(brokers) + '\0';
    }
    if (message.starts_with("AUTHENTICATE")) return tsp::status_line(refuses_with ? refuses_with : 200);
    if (message.find("create") == std::string_view::npos) return "";
    tsp::TunnelInfo info;
    info.mode = tsp::Mode::kV6UdpV4;
    info.server_v4 = asio::ip::make_address_v4("192.0.2.1");
    info.client_v4 = asio::ip::make_address_v4("192.0.2.2");
    info.server_v6 = asio::ip::make_address_v6("2001:db8:f:f::1");
    info.client_v6 = asio::ip::make_address_v6("2001:db8:f:f::2");
    return tsp::with_content_length("200 Success\r\n" + info.to_xml());
  }

  void receive() {
    socket_.async_receive_from(asio::buffer(buffer_), peer_, [this](const auto& error, std::size_t size) {
      if (error) return;
      if (const auto message = tsp::parse_rudp({buffer_.data(), size})) {
        if (ignores > 0) {
          --ignores;
        } else if (message->text == "ECHO REQUEST") {
          ++echoes;
          if (answers_echo) {
            const auto timer = std::make_shared<asio::steady_timer>(socket_.get_executor(), delay);
            timer->async_wait(
                [this, timer, to = peer_,
                 reply = tsp::make_rudp(message->header, "200 Success\r\n")](const auto& stopped) {
                  if (!stopped && socket_.is_open()) socket_.send_to(asio::buffer(reply), to);
                });
          }
        } else {
          socket_.send_to(asio::buffer(tsp::make_rudp(message->header, answer(message->text))), peer_);
        }
      }
      receive();
    });
  }

  udp::socket socket_;
  udp::endpoint peer_;
  std::array<std::uint8_t, 4096> buffer_{};
};

struct Fixture {
  asio::io_context io;
  test::TemporaryDirectory directory;
  std::ostringstream lines;
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines)};
  std::vector<std::unique_ptr<FakeBroker>> brokers;
  std::optional<client::Config> config;

  FakeBroker& add(std::chrono::milliseconds delay = 0ms) {
    brokers.push_back(std::make_unique<FakeBroker>(io));
    brokers.back()->delay = delay;
    return *brokers.back();
  }
  // A port where nobody listens.
  std::string dead() {
    const udp::socket socket(io, udp::endpoint(asio::ip::address_v4::loopback(), 0));
    return "127.0.0.1:" + std::to_string(socket.local_endpoint().port());
  }
  std::string list() const { return directory.file("tsp-broker-list.txt"); }
  std::string last() const { return directory.file("tsp-last-server.txt"); }
  bool has_logged(const std::string& text) const { return lines.str().find(text) != std::string::npos; }

  void configure(const std::string& servers, const std::string& more = "") {
    auto loaded = client::parse_config(
        "test.conf",
        "server=" + servers + "\ntunnel_mode=v6udpv4\nstate_dir=" + directory.path().string() + "\n" + more);
    REQUIRE(loaded.config);
    config.emplace(std::move(*loaded.config));
  }
  std::variant<Grant, Failed> search() {
    // Counted to the end of the search only.
    lines.str("");
    BrokerSearch search(*config, log, {});
    return test::run(io, search.run());
  }
  Grant granted() {
    auto outcome = search();
    const auto* failed = std::get_if<Failed>(&outcome);
    REQUIRE_MESSAGE(!failed, (failed ? failed->message : ""));
    return std::move(std::get<Grant>(outcome));
  }
  Failed failed() {
    auto outcome = search();
    REQUIRE(std::holds_alternative<Failed>(outcome));
    return std::get<Failed>(outcome);
  }
};

}  // namespace

TEST_CASE("search: a broker that answered before is asked again over UDP before TCP is tried") {
  Fixture f;
  auto& broker = f.add();
  f.configure(broker.text());
  f.config->tunnel_mode = client::TunnelMode::kV6AnyV4;
  BrokerSearch search(*f.config, f.log, {});
  // RUDP sends three times and gives up after 6 s. Nobody listens on TCP.
  broker.ignores = 3;
  auto outcome = test::run(f.io, search.run());
  REQUIRE(std::holds_alternative<Failed>(outcome));
  CHECK_FALSE(std::get<Failed>(outcome).is_passing);
  CHECK(f.has_logged("TCP"));
  outcome = test::run(f.io, search.run());
  CHECK(std::holds_alternative<Grant>(outcome));
  f.lines.str("");
  broker.ignores = 3;
  outcome = test::run(f.io, search.run());
  CHECK(std::holds_alternative<Grant>(outcome));
  CHECK(f.has_logged("does not answer, but did before"));
  CHECK_FALSE(f.has_logged("TCP"));
}

TEST_CASE("search: one configured broker is not measured") {
  Fixture f;
  auto& broker = f.add();
  f.configure(broker.text());
  const auto grant = f.granted();
  CHECK(grant.server.text == broker.text());
  CHECK(grant.found == "server");
  CHECK(broker.echoes == 0);
  CHECK(content_of(f.last()) == broker.text() + "\n");
  CHECK_FALSE(std::filesystem::exists(f.list()));
}

TEST_CASE("search: the closest of the configured brokers is taken, unless their order counts") {
  Fixture f;
  auto& far = f.add(80ms);
  auto& near = f.add(5ms);
  const auto servers = far.text() + " " + near.text();
  f.configure(servers);
  CHECK(f.granted().server.text == near.text());
  CHECK(far.sessions == 0);
  CHECK(f.has_logged("brokers by distance: " + near.text()));
  f.configure(servers, "server_order=listed\n");
  CHECK(f.granted().server.text == far.text());
}

TEST_CASE("search: brokers that are equally far are tried in the order of the configuration") {
  Fixture f;
  auto& one = f.add(20ms);
  auto& two = f.add(20ms);
  f.configure(two.text() + " " + one.text());
  for (int i = 0; i < 3; ++i) CHECK(f.granted().server.text == two.text());
}

TEST_CASE("search: configured brokers that do not answer echoes are tried all the same") {
  Fixture f;
  auto& old = f.add();
  old.answers_echo = false;
  f.configure(f.dead() + " " + old.text());
  CHECK(f.granted().server.text == old.text());
}

TEST_CASE("search: a redirection leads to the closest broker that lives, and is remembered") {
  Fixture f;
  auto& front = f.add();
  auto& far = f.add(90ms);
  auto& near = f.add(30ms);
  const auto dead = f.dead();
  front.redirects_to = {far.text(), dead, near.text()};
  f.configure(front.text());
  const auto grant = f.granted();
  CHECK(grant.server.text == near.text());
  CHECK(grant.found == "redirected by " + front.text());
  CHECK(far.sessions == 0);
  CHECK(content_of(f.list()) == near.text() + "\n" + far.text() + "\n" + dead + "\n");
  CHECK(content_of(f.last()) == near.text() + "\n");
  CHECK(f.has_logged(front.text() + " redirects to 3 brokers"));
  CHECK(f.has_logged(dead + " no answer"));
}

TEST_CASE("search: where the closest refuses, the next one is asked") {
  Fixture f;
  auto& front = f.add();
  auto& busy = f.add(1ms);
  auto& far = f.add(40ms);
  busy.refuses_with = tsp::kServerBusy;
  front.redirects_to = {busy.text(), far.text()};
  f.configure(front.text());
  CHECK(f.granted().server.text == far.text());
  CHECK(busy.sessions == 1);
}

TEST_CASE("search: brokers that redirect to each other end with 14, each tried once") {
  Fixture f;
  auto& one = f.add();
  auto& two = f.add();
  one.redirects_to = {two.text()};
  two.redirects_to = {one.text()};
  f.configure(one.text());
  const auto failed = f.failed();
  CHECK(failed.code == client::kExitRedirection);
  CHECK(failed.message.find("in a circle: " + one.text() + " -> " + two.text() + " -> " + one.text()) !=
        std::string::npos);
  CHECK(one.sessions == 1);
  CHECK(two.sessions == 1);
  // The broker that is not in the circle is found nevertheless.
  auto& three = f.add();
  f.configure(one.text() + " " + three.text(), "server_order=listed\n");
  CHECK(f.granted().server.text == three.text());
}

TEST_CASE("search: another name for a broker that was tried is seen through") {
  Fixture f;
  auto& one = f.add();
  one.redirects_to = {"localhost" + one.text().substr(one.text().find(':'))};
  f.configure(one.text());
  const auto failed = f.failed();
  CHECK(failed.code == client::kExitRedirection);
  CHECK(failed.message.find("in a circle") != std::string::npos);
  CHECK(one.sessions == 1);
}

TEST_CASE("search: redirections to what is another machine's on every network are not followed") {
  Fixture f;
  auto& one = f.add();
  auto& local = f.add();
  const auto port = local.text().substr(local.text().find(':'));
  // 0.0.0.0 is this machine to connect(2).
  one.redirects_to = {"0.0.0.0" + port};
  f.configure(one.text());
  auto failed = f.failed();
  CHECK(failed.code == client::kExitRedirection);
  CHECK(failed.message.find("0.0.0.0") != std::string::npos);
  CHECK(local.sessions == 0);
  one.redirects_to = {"224.0.0.1", "255.255.255.255", "169.254.169.254", "fe80::1", "ff02::1",
                      "::",        "::ffff:0.0.0.0"};
  CHECK(f.failed().code == client::kExitRedirection);
  // The one that can be a broker is tried.
  one.redirects_to.push_back(local.text());
  CHECK(f.granted().server.text == local.text());
}

TEST_CASE("search: whom another machine may redirect to") {
  const auto here = asio::ip::make_address("127.0.0.1");
  const auto there = asio::ip::make_address("192.0.2.1");
  CHECK(client::may_be_redirected(there, asio::ip::make_address("10.0.0.1")));
  CHECK(client::may_be_redirected(there, asio::ip::make_address("2001:db8::1")));
  CHECK(client::may_be_redirected(here, asio::ip::make_address("::1")));
  for (const char* to : {"127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "0.0.0.1"})
    CHECK_FALSE(client::may_be_redirected(there, asio::ip::make_address(to)));
}

TEST_CASE("search: a chain of redirections is followed eight times") {
  Fixture f;
  for (int i = 0; i < 10; ++i) f.add();
  for (int i = 0; i < 8; ++i) f.brokers[i]->redirects_to = {f.brokers[i + 1]->text()};
  f.configure(f.brokers[0]->text());
  CHECK(f.granted().server.text == f.brokers[8]->text());
  f.brokers[8]->redirects_to = {f.brokers[9]->text()};
  const auto failed = f.failed();
  CHECK(failed.code == client::kExitRedirection);
  CHECK(failed.message.find("that many are not followed") != std::string::npos);
  CHECK(f.brokers[9]->sessions == 0);
}

TEST_CASE("search: brokers that name ever new ones end") {
  Fixture f;
  auto& one = f.add();
  auto& two = f.add();
  auto& three = f.add();
  one.redirects_to = {two.text()};
  two.redirects_to = {three.text()};
  for (int port = 1; port < 50; ++port) {
    one.redirects_to.push_back("127.0.0.3:" + std::to_string(port));
    two.redirects_to.push_back("127.0.0.4:" + std::to_string(port));
  }
  for (int port = 1; port <= 50; ++port) three.redirects_to.push_back("127.0.0.5:" + std::to_string(port));
  f.configure(one.text());
  const auto failed = f.failed();
  CHECK(failed.code == client::kExitRedirection);
  CHECK(f.has_logged("redirections named more than 100 brokers"));
  CHECK_FALSE(f.has_logged("broker 127.0.0.5:"));
}

TEST_CASE("search: what a redirection leads to says why there is no tunnel") {
  Fixture f;
  auto& front = f.add();
  auto& strict = f.add();
  strict.refuses_with = tsp::kAuthenticationFailed;
  front.redirects_to = {f.dead(), strict.text()};
  f.configure(front.text());
  CHECK(f.failed().code == client::kExitAuthentication);
  front.redirects_to = {f.dead()};
  CHECK(f.failed().code == client::kExitRedirection);
}

TEST_CASE("search: broker_list is tried when the configured brokers are out of reach") {
  Fixture f;
  auto& known = f.add();
  std::ofstream(f.list()) << f.dead() << "\nno broker\n" << known.text() << "\n";
  f.configure(f.dead());
  const auto grant = f.granted();
  CHECK(grant.server.text == known.text());
  CHECK(grant.found == "broker_list");
  CHECK(f.has_logged("line 2"));
}

TEST_CASE("search: broker_list is no way round a broker that refuses") {
  Fixture f;
  auto& strict = f.add();
  auto& known = f.add();
  strict.refuses_with = tsp::kAuthenticationFailed;
  std::ofstream(f.list()) << known.text() << "\n";
  f.configure(strict.text());
  CHECK(f.failed().code == client::kExitAuthentication);
  CHECK(known.sessions == 0);
}

TEST_CASE("search: always_use_same_server returns to the last broker, and goes on where that fails") {
  Fixture f;
  auto& configured = f.add();
  auto& last = f.add();
  std::ofstream(f.last()) << last.text() << "\n";
  f.configure(configured.text());
  CHECK(f.granted().server.text == configured.text());
  CHECK(content_of(f.last()) == configured.text() + "\n");
  std::ofstream(f.last()) << last.text() << "\n";
  f.configure(configured.text(), "always_use_same_server=yes\n");
  const auto grant = f.granted();
  CHECK(grant.server.text == last.text());
  CHECK(grant.found == "last_server");
  CHECK(configured.sessions == 1);
  last.refuses_with = tsp::kNoTunnelsLeft;
  CHECK(f.granted().server.text == configured.text());
  CHECK(content_of(f.last()) == configured.text() + "\n");
}

TEST_CASE("search: a name that does not resolve costs no other broker") {
  Fixture f;
  auto& broker = f.add();
  f.configure("nowhere.invalid " + broker.text());
  CHECK(f.granted().server.text == broker.text());
  f.configure("nowhere.invalid");
  CHECK(f.failed().code == client::kExitCannotResolve);
}

TEST_CASE("search: can be cancelled while it measures") {
  Fixture f;
  auto& front = f.add();
  auto& silent = f.add();
  silent.answers_echo = false;
  front.redirects_to = {silent.text(), f.dead()};
  f.configure(front.text());
  BrokerSearch search(*f.config, f.log, {});
  asio::cancellation_signal cancel;
  bool has_ended = false;
  asio::co_spawn(f.io, search.run(),
                 asio::bind_cancellation_slot(
                     cancel.slot(), [&](const std::exception_ptr&, const auto&) { has_ended = true; }));
  CHECK(test::run_until(f.io, [&] { return silent.echoes == 1; }));
  cancel.emit(asio::cancellation_type::terminal);
  CHECK(test::run_until(
      f.io, [&] { return has_ended; }, 2000ms));
}
