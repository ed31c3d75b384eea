// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/registry_echo.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/null_sink.h>

#include "src/mesh/seen_endpoint.h"

using namespace sixlink;
using boost::asio::ip::make_address;
using client::RegistryEcho;
using Endpoint = RegistryEcho::Endpoint;

namespace {

struct Asking {
  boost::asio::io_context io{1};
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  std::vector<std::vector<std::uint8_t>> questions;
  std::vector<Endpoint> asked;
  std::vector<Endpoint> seen;
  RegistryEcho echo;

  explicit Asking(const std::string& url)
      : echo(io, client::echo_address(url), log,
             {[this](std::span<const std::uint8_t> datagram, const Endpoint& to) {
                questions.emplace_back(datagram.begin(), datagram.end());
                asked.push_back(to);
                return boost::system::error_code();
              },
              [this](const boost::asio::ip::address&, const Endpoint& endpoint) { seen.push_back(endpoint); },
              [] { return true; }}) {
    for (int i = 0; i < 200 && questions.empty(); ++i) io.run_one_for(std::chrono::milliseconds(10));
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
