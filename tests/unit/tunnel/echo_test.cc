// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/echo.h"

#include <doctest/doctest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "tests/unit/net/run_coroutine.h"
#include "tests/unit/tsp/recording.h"

using namespace sixlink;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::udp;
using tunnel::EchoProbe;
using tunnel::EchoTarget;

namespace {

const EchoProbe::TimePoint kStart{100s};

std::vector<std::uint8_t> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

std::vector<std::uint8_t> answer_to(const std::vector<std::uint8_t>& request,
                                    std::string_view text = "200 Success\r\n") {
  return tsp::make_rudp(tsp::parse_rudp(request)->header, text);
}

// Answers echoes after `delay`, those it does not leave out.
class EchoServer {
 public:
  EchoServer(asio::io_context& io, std::chrono::milliseconds delay, unsigned left_out = 0,
             const char* at = "127.0.0.1")
      : socket_(io, udp::endpoint(asio::ip::make_address(at), 0)),
        timer_(io),
        delay_(delay),
        left_out_(left_out) {
    receive();
  }
  EchoTarget target() const {
    return {socket_.local_endpoint().address(), socket_.local_endpoint().port(), {}};
  }
  unsigned requests = 0;

 private:
  void receive() {
    socket_.async_receive_from(asio::buffer(buffer_), peer_, [this](const auto& error, std::size_t size) {
      if (error) return;
      const auto message = tsp::parse_rudp({buffer_.data(), size});
      REQUIRE(message);
      CHECK(message->text == "ECHO REQUEST");
      if (++requests <= left_out_) return receive();
      timer_.expires_after(delay_);
      timer_.async_wait([this, answer = tsp::make_rudp(message->header, "200 Success\r\n"),
                         to = peer_](const auto& stopped) {
        if (!stopped) socket_.send_to(asio::buffer(answer), to);
        receive();
      });
    });
  }
  udp::socket socket_;
  asio::steady_timer timer_;
  std::chrono::milliseconds delay_;
  unsigned left_out_;
  udp::endpoint peer_;
  std::array<std::uint8_t, 2048> buffer_{};
};

}  // namespace

TEST_CASE("echo: the request is what deployed clients send, and the recorded answer is understood") {
  const auto session = tsp::test::load_recording("redirect-rudp").at(1);
  EchoProbe probe(kStart, 10s);
  const auto request = probe.tick(kStart);
  REQUIRE(request);
  const auto ours = tsp::parse_rudp(*request);
  const auto recorded_request = bytes_of(session.at(0).bytes);
  const auto recorded = tsp::parse_rudp(recorded_request);
  REQUIRE(ours);
  REQUIRE(recorded);
  CHECK(ours->text == recorded->text);
  CHECK(ours->header.sequence == recorded->header.sequence);
  auto answer = bytes_of(session.at(1).bytes);
  // The server echoes the timestamp, which is the client's own affair.
  std::copy_n(request->begin() + 4, 4, answer.begin() + 4);
  probe.input(answer, kStart + 12ms);
  CHECK(probe.is_over());
  CHECK(probe.distance() == 12ms);
}

TEST_CASE("echo: three requests in ten seconds, then it has failed") {
  EchoProbe probe(kStart, 10s);
  std::vector<std::int64_t> sent;
  for (auto now = kStart; now < kStart + 12s; now += 100ms) {
    if (probe.tick(now))
      sent.push_back(std::chrono::duration_cast<std::chrono::seconds>(now - kStart).count());
    CHECK(probe.is_over() == (now >= kStart + 10s));
  }
  CHECK(sent == std::vector<std::int64_t>{0, 2, 5});
  CHECK_FALSE(probe.distance());
  CHECK(probe.deadline() == EchoProbe::TimePoint::max());
}

TEST_CASE("echo: the distance is from the request that was answered") {
  EchoProbe probe(kStart, 10s);
  const auto first = *probe.tick(kStart);
  const auto second = *probe.tick(kStart + 2s);
  SUBCASE("the second") {
    probe.input(answer_to(second), kStart + 2s + 30ms);
    CHECK(probe.distance() == 30ms);
  }
  SUBCASE("the first, late") {
    probe.input(answer_to(first), kStart + 2s + 30ms);
    CHECK(probe.distance() == 2s + 30ms);
  }
  // A second answer changes nothing.
  const auto distance = probe.distance();
  probe.input(answer_to(second), kStart + 3s);
  CHECK(probe.distance() == distance);
}

TEST_CASE("echo: what is no answer to a request is ignored, and the answer after it counts") {
  EchoProbe probe(kStart, 10s);
  const auto request = *probe.tick(kStart);
  const auto header = tsp::parse_rudp(request)->header;
  for (const auto& noise :
       {std::vector<std::uint8_t>{}, std::vector<std::uint8_t>{0xf0}, std::vector<std::uint8_t>(40, 0x60),
        tsp::make_rudp({header.sequence + 1, header.timestamp}, "200 Success\r\n"),
        tsp::make_rudp({header.sequence, header.timestamp + 1}, "200 Success\r\n"),
        tsp::make_rudp({header.sequence, 0}, "200 Success\r\n")}) {
    probe.input(noise, kStart + 1ms);
    CHECK_FALSE(probe.is_over());
  }
  probe.input(answer_to(request), kStart + 5ms);
  CHECK(probe.distance() == 5ms);
}

TEST_CASE("echo: a broker that refuses is not measured") {
  for (const auto* text : {"500 Invalid request\r\n", "nonsense", ""}) {
    EchoProbe probe(kStart, 10s);
    const auto request = *probe.tick(kStart);
    probe.input(answer_to(request, text), kStart + 5ms);
    CHECK(probe.is_over());
    CHECK_FALSE(probe.distance());
  }
}

TEST_CASE("echo: brokers are measured at the same time") {
  asio::io_context io;
  EchoServer near(io, 5ms);
  EchoServer far(io, 150ms);
  EchoServer over_v6(io, 60ms, 0, "::1");
  const auto started = std::chrono::steady_clock::now();
  const auto distances =
      test::run(io, tunnel::measure({far.target(), near.target(), over_v6.target()}, {5s, 4s}));
  const auto took = std::chrono::steady_clock::now() - started;
  REQUIRE(distances.size() == 3);
  REQUIRE(distances[0]);
  REQUIRE(distances[1]);
  REQUIRE(distances[2]);
  CHECK(*distances[0] >= 150ms);
  CHECK(*distances[1] >= 5ms);
  CHECK(*distances[1] < *distances[2]);
  CHECK(*distances[2] < *distances[0]);
  // It ends when all are known, not when the time is up.
  CHECK(took < 2s);
}

TEST_CASE("echo: a lost request is repeated") {
  asio::io_context io;
  EchoServer server(io, 1ms, 1);
  const auto distances = test::run(io, tunnel::measure({server.target()}, {1s, 1s}));
  REQUIRE(distances.at(0));
  CHECK(*distances[0] < 150ms);  // not counted from the first
  CHECK(server.requests == 2);
}

TEST_CASE("echo: the silent and the dead are not waited for once another has answered") {
  asio::io_context io;
  EchoServer near(io, 1ms);
  EchoServer silent(io, 1ms, 1000);
  std::uint16_t closed_port = 0;
  {
    const EchoServer closed(io, 1ms);
    closed_port = closed.target().port;
  }
  const EchoTarget dead{asio::ip::make_address("127.0.0.1"), closed_port, {}};
  const auto started = std::chrono::steady_clock::now();
  const auto distances = test::run(io, tunnel::measure({silent.target(), dead, near.target()}, {10s, 300ms}));
  const auto took = std::chrono::steady_clock::now() - started;
  CHECK_FALSE(distances.at(0));
  CHECK_FALSE(distances.at(1));
  CHECK(distances.at(2));
  CHECK(took >= 300ms);
  CHECK(took < 3s);
}

TEST_CASE("echo: nobody to measure, and an address that cannot be used") {
  asio::io_context io;
  CHECK(test::run(io, tunnel::measure({}, {})).empty());
  // Not an address of this machine.
  const EchoTarget unusable{asio::ip::make_address("127.0.0.1"), 9, asio::ip::make_address("192.0.2.77")};
  const auto started = std::chrono::steady_clock::now();
  const auto distances = test::run(io, tunnel::measure({unusable}, {}));
  REQUIRE(distances.size() == 1);
  CHECK_FALSE(distances[0]);
  CHECK(std::chrono::steady_clock::now() - started < 1s);
}

TEST_CASE("echo: a measurement can be cancelled") {
  asio::io_context io;
  EchoServer silent(io, 1ms, 1000);
  asio::cancellation_signal cancel;
  bool has_ended = false;
  asio::co_spawn(io, tunnel::measure({silent.target()}, {}),
                 asio::bind_cancellation_slot(
                     cancel.slot(), [&](const std::exception_ptr&, const auto&) { has_ended = true; }));
  CHECK(test::run_until(io, [&] { return silent.requests == 1; }));
  cancel.emit(asio::cancellation_type::terminal);
  CHECK(test::run_until(
      io, [&] { return has_ended; }, 2000ms));
}
