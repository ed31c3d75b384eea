// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/igd_helper.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/net/run_coroutine.h"

using namespace sixlink;
using boost::asio::ip::make_address;
using client::parse_igd_output;
using mesh::Transport;

namespace {

const mesh::PortMapping::Network kNetwork{make_address("192.0.2.2"), make_address("192.0.2.1")};

mesh::IgdJob job() {
  mesh::IgdJob value;
  value.id = 5;
  value.lifetime = std::chrono::seconds(7200);
  value.mappings = {{Transport::kUdp, 3653, {}, 3653}, {Transport::kTcp, 443, {}, 8443}};
  return value;
}

}  // namespace

TEST_CASE("igd helper: what it is told") {
  CHECK(client::igd_arguments(job(), kNetwork) == std::vector<std::string>{"igd-helper", "add", "192.0.2.2",
                                                                           "192.0.2.1", "7200",
                                                                           "udp:3653:3653", "tcp:443:8443"});
}

TEST_CASE("igd helper: what it says") {
  const auto result = parse_igd_output(
      "mapped udp 3653 203.0.113.9 40000\nsome noise\nproblem the UPnP gateway refuses: \x1b[31m (718)\n", 5);
  CHECK(result.id == 5);
  REQUIRE(result.mapped.size() == 1);
  CHECK(result.mapped[0] == mesh::PortMapped{Transport::kUdp, 3653, make_address("203.0.113.9"), 40000});
  CHECK(result.problem == "the UPnP gateway refuses: ?[31m (718)");
  CHECK(parse_igd_output("", 5).problem == "no UPnP gateway answers");
  for (const char* line :
       {"mapped udp 3653 203.0.113.9", "mapped sctp 1 203.0.113.9 1", "mapped udp 0x1 203.0.113.9 1",
        "mapped udp 1 203.0.113 1", "mapped udp 1 203.0.113.9 70000", "mapped udp 1 203.0.113.9 0"})
    CHECK_MESSAGE(parse_igd_output(line, 5).mapped.empty(), line);
}

TEST_CASE("igd helper: arguments that are none of ours are refused") {
  CHECK(client::run_igd_helper({}) == 2);
  CHECK(client::run_igd_helper({"add", "192.0.2.2", "192.0.2.1", "7200"}) == 2);
  CHECK(client::run_igd_helper({"add", "x", "192.0.2.1", "7200", "udp:1:1"}) == 2);
  CHECK(client::run_igd_helper({"add", "192.0.2.2", "192.0.2.1", "7200", "udp:1"}) == 2);
}

TEST_CASE("igd helper: a program that is not there, or says nothing of use, is an answer too") {
  for (const char* program : {"/nonexistent/sixlink", "/bin/echo"}) {
    boost::asio::io_context io;
    client::IgdRunner runner(io, program);
    std::vector<mesh::IgdResult> results;
    runner.start(job(), kNetwork, [&](const mesh::IgdResult& result) { results.push_back(result); });
    REQUIRE(test::run_until(io, [&] { return results.size() == 1; }));
    CHECK(results[0].id == 5);
    CHECK(results[0].mapped.empty());
    CHECK_FALSE(results[0].problem.empty());
  }
}

TEST_CASE("igd helper: what runs is ended by the next job, and with its owner") {
  boost::asio::io_context io;
  auto runner = std::make_unique<client::IgdRunner>(io, "/usr/bin/yes");  // never stops by itself
  int calls = 0;
  runner->start(job(), kNetwork, [&](const mesh::IgdResult&) { ++calls; });
  runner->start(job(), kNetwork, [&](const mesh::IgdResult&) { ++calls; });
  // Its output is bounded.
  CHECK(test::run_until(io, [&] { return calls == 1; }));
  runner->start(job(), kNetwork, [&](const mesh::IgdResult&) { ++calls; });
  runner.reset();
  io.restart();
  io.run_for(std::chrono::milliseconds(50));
  CHECK(calls == 1);
}
