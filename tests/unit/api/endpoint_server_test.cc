// SPDX-License-Identifier: BSD-3-Clause
#include "registry/api/endpoint_server.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/null_sink.h>

#include <boost/asio/buffer.hpp>
#include <chrono>
#include <vector>

#include "src/mesh/seen_endpoint.h"

using namespace sixlink;
using boost::asio::ip::make_address;
using boost::asio::ip::udp;

namespace {

struct Asked {
  boost::asio::io_context io{1};
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  registry::EndpointServer server{io, log};
  udp::endpoint at;

  Asked() {
    // One that was free a moment ago.
    udp::socket free(io, {make_address("127.0.0.1"), 0});
    at = free.local_endpoint();
    free.close();
    REQUIRE(server.listen({make_address("0.0.0.0"), at.port()}).empty());
  }

  udp::socket asker() {
    udp::socket socket(io, {make_address("127.0.0.1"), 0});
    socket.non_blocking(true);
    return socket;
  }
  // All that comes to the socket after `datagram` was sent `times`.
  std::vector<std::vector<std::uint8_t>> answers(udp::socket& socket,
                                                 const std::vector<std::uint8_t>& datagram, int times = 1) {
    for (int i = 0; i < times; ++i) {
      socket.send_to(boost::asio::buffer(datagram), at);
      io.poll();
    }
    io.restart();
    io.run_for(std::chrono::milliseconds(50));
    io.restart();
    std::vector<std::vector<std::uint8_t>> all;
    std::vector<std::uint8_t> buffer(512);
    udp::endpoint from;
    for (boost::system::error_code error;;) {
      const auto size = socket.receive_from(boost::asio::buffer(buffer), from, 0, error);
      if (error) return all;
      CHECK(from == at);
      all.emplace_back(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
    }
  }
};

}  // namespace

TEST_CASE("endpoint server: who asks is told where the question came from") {
  Asked asked;
  auto socket = asked.asker();
  const auto answers = asked.answers(socket, mesh::make_endpoint_request(42));
  REQUIRE(answers.size() == 1);
  const auto seen = mesh::parse_endpoint_response(answers[0]);
  REQUIRE(seen);
  CHECK(seen->nonce == 42);
  CHECK(seen->endpoint == socket.local_endpoint());
}

TEST_CASE("endpoint server: anything else has no answer, and does not keep others from theirs") {
  Asked asked;
  auto socket = asked.asker();
  const auto request = mesh::make_endpoint_request(42);
  CHECK(asked.answers(socket, {}).empty());
  CHECK(asked.answers(socket, {request.begin(), request.end() - 1}).empty());
  CHECK(asked.answers(socket, std::vector<std::uint8_t>(400, 0xF3)).empty());
  CHECK(asked.answers(socket, mesh::answer_endpoint_request(request, socket.local_endpoint())).empty());
  constexpr auto kMany = static_cast<int>(registry::EndpointServer::kEachBurst) * 3;
  CHECK(asked.answers(socket, std::vector<std::uint8_t>(96, 0xF3), kMany).empty());
  CHECK(asked.answers(socket, request).size() == 1);
}

TEST_CASE("endpoint server: an address is answered only so often") {
  Asked asked;
  auto socket = asked.asker();
  constexpr int kTimes = 400;
  const auto count = asked.answers(socket, mesh::make_endpoint_request(42), kTimes).size();
  CHECK(count >= static_cast<std::size_t>(registry::EndpointServer::kEachBurst / 2));
  CHECK(count < kTimes);
}

TEST_CASE("endpoint server: a port that something else has is told, with what is lost") {
  Asked asked;
  const auto problem = asked.server.listen({make_address("0.0.0.0"), asked.at.port()});
  CHECK(problem.find("nodes behind NATs that change ports") != std::string::npos);
}
