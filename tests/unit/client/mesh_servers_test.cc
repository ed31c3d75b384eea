// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/mesh_servers.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/null_sink.h>

using namespace sixlink;
using namespace sixlink::client;

namespace {

boost::asio::ip::address address(const char* text) {
  return boost::asio::ip::make_address(text);
}

const net::Prefix kNetwork = *net::Prefix::parse("2001:db8:42::/48");

}  // namespace

TEST_CASE("mesh servers: all addresses that links may lead to, in their order") {
  const std::vector all{address("2001:db8:ff::1"), address("198.51.100.1"), address("2001:db8:42:1::1")};
  MeshProtocols protocols;
  const mesh::Endpoint v6(all[0], 3653);
  const mesh::Endpoint v4(all[1], 3653);
  CHECK(usable_servers(all, 3653, protocols, kNetwork) == std::vector{v6, v4});
  protocols.udp6 = protocols.tcp6 = false;
  CHECK(usable_servers(all, 3653, protocols, kNetwork) == std::vector{v4});
  // By TLS alone.
  protocols.udp4 = false;
  CHECK(usable_servers(all, 3653, protocols, kNetwork) == std::vector{v4});
  protocols.tcp4 = false;
  CHECK(usable_servers(all, 3653, protocols, kNetwork).empty());
  CHECK(usable_servers(std::vector(50, all[1]), 3653, {}, kNetwork).size() == MeshServers::kMost);
}

TEST_CASE("mesh servers: what is found is told, and nothing after the end") {
  boost::asio::io_context io;
  spdlog::logger log("test", std::make_shared<spdlog::sinks::null_sink_mt>());
  std::vector<mesh::Endpoint> found;
  std::string problem;
  MeshServers::Events events;
  events.on_found = [&](std::vector<mesh::Endpoint> servers) { found = std::move(servers); };
  events.on_problem = [&](const std::string& text) { problem = text; };
  events.has_link = [] { return false; };
  {
    MeshServers servers(io, *net::ServerAddress::parse("198.51.100.1:4000"), {}, kNetwork, log, events);
    io.run_for(std::chrono::milliseconds(50));
    CHECK(found == std::vector{mesh::Endpoint(address("198.51.100.1"), 4000)});
    found.clear();
    servers.look();
  }
  io.restart();
  io.run_for(std::chrono::milliseconds(50));
  CHECK(found.empty());
  MeshProtocols none{false, false, false, false};
  const MeshServers servers(io, *net::ServerAddress::parse("198.51.100.1"), none, kNetwork, log, events);
  io.restart();
  io.run_for(std::chrono::milliseconds(50));
  CHECK(found.empty());
  CHECK(problem.find("client_only=198.51.100.1") != std::string::npos);
}
