// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/registry_echo.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/null_sink.h>

#include "src/mesh/seen_endpoint.h"

using namespace sixlink;
using boost::asio::ip::make_address;
using client::RegistryEcho;
using std::chrono::milliseconds;
using Endpoint = RegistryEcho::Endpoint;

namespace {

struct Asking {
  boost::asio::io_context io{1};
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  std::vector<std::vector<std::uint8_t>> questions;
  std::vector<Endpoint> asked;
  std::vector<Endpoint> seen;
  RegistryEcho echo;

  explicit Asking(const std::string& url, RegistryEcho::Pace pace = {})
      : echo(io, client::echo_address(url), log,
             {[this](std::span<const std::uint8_t> datagram, const Endpoint& to) {
                questions.emplace_back(datagram.begin(), datagram.end());
                asked.push_back(to);
                return boost::system::error_code();
              },
              [this](const boost::asio::ip::address&, const Endpoint& endpoint) { seen.push_back(endpoint); },
              [] { return true; }},
             pace) {
    wait_for(1);
  }
  void wait_for(std::size_t count) {
    for (int i = 0; i < 500 && questions.size() < count; ++i) io.run_one_for(milliseconds(10));
  }
};

const Endpoint kOutside(make_address("198.51.100.7"), 40001);

}  // namespace

TEST_CASE("registry echo: asks where HTTPS is served") {
  CHECK(client::echo_address("https://registry.example.net").host == "registry.example.net");
  CHECK(client::echo_address("https://registry.example.net").port == 443);
  CHECK(client::echo_address("https://registry.example.net:8443").port == 8443);
  CHECK(client::echo_address("https://192.0.2.7").port == 443);
  CHECK(client::echo_address("https://[2001:db8::7]").host == "2001:db8::7");
  CHECK(client::echo_address("https://[2001:db8::7]").port == 443);
  CHECK(client::echo_address("https://[2001:db8::7]:8443").port == 8443);
}

TEST_CASE("registry echo: only the answer to its own question counts, and only once") {
  Asking one("https://192.0.2.7:8443");
  REQUIRE(one.questions.size() == 1);
  const Endpoint registry(make_address("192.0.2.7"), 8443);
  CHECK(one.asked[0] == registry);
  const auto answer = mesh::answer_endpoint_request(one.questions[0], kOutside);

  const auto forged = mesh::answer_endpoint_request(mesh::make_endpoint_request(1), kOutside);
  CHECK(one.echo.input(forged, registry));
  CHECK(one.echo.input(answer, Endpoint(make_address("192.0.2.8"), 8443)));
  CHECK(one.echo.input(answer, Endpoint(make_address("192.0.2.7"), 8444)));
  CHECK_FALSE(one.echo.input(one.questions[0], registry));
  CHECK_FALSE(one.echo.input(std::vector<std::uint8_t>(12, 0xF0), registry));
  CHECK(one.seen.empty());
  CHECK_FALSE(one.echo.seen());

  CHECK(one.echo.input(answer, registry));
  CHECK(one.echo.input(answer, registry));
  CHECK(one.seen == std::vector{kOutside});
  CHECK(one.echo.seen() == kOutside);
  CHECK(one.echo.problem().empty());
}

TEST_CASE("registry echo: who gives no answer is asked again before long, with a new number") {
  Asking one("https://192.0.2.7",
             {std::chrono::hours(1), std::chrono::hours(1), milliseconds(5), milliseconds(20)});
  one.wait_for(3);
  REQUIRE(one.questions.size() == 3);
  CHECK(one.questions[0] == one.questions[2]);
  one.wait_for(4);
  REQUIRE(one.questions.size() == 4);
  CHECK(one.questions[3] != one.questions[0]);
  CHECK(one.echo.problem().find("no answer from 192.0.2.7:443; let UDP to that port through") !=
        std::string::npos);

  const Endpoint registry(make_address("192.0.2.7"), 443);
  CHECK(one.echo.input(mesh::answer_endpoint_request(one.questions[3], kOutside), registry));
  CHECK(one.echo.problem().empty());
  // The answer came: there is time.
  one.io.run_for(milliseconds(100));
  CHECK(one.questions.size() == 4);
}
