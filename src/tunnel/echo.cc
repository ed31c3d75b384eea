// SPDX-License-Identifier: BSD-3-Clause
// How far away brokers are.
#include "src/tunnel/echo.h"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

#include "src/tsp/message.h"
#include "src/tsp/status.h"

namespace sixlink::tunnel {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// As deployed clients: no line end, no NUL.
constexpr std::string_view kRequest = "ECHO REQUEST";

// The sockets of one measurement. The handlers of its receptions keep it; the coroutine that measures ends
// it.
struct Round {
  struct Target {
    Target(const asio::any_io_executor& executor, Clock::time_point now, milliseconds limit)
        : socket(executor), probe(now, limit) {}
    asio::ip::udp::socket socket;
    EchoProbe probe;
    std::array<std::uint8_t, 512> buffer{};
  };

  explicit Round(const asio::any_io_executor& executor) : changed(executor) {}

  std::vector<std::unique_ptr<Target>> targets;
  asio::steady_timer changed;
  bool is_wanted = true;
};

void receive(const std::shared_ptr<Round>& round, Round::Target& target) {
  target.socket.async_receive(asio::buffer(target.buffer),
                              [round, &target](const error_code& error, std::size_t size) {
                                if (!round->is_wanted || error == asio::error::operation_aborted) return;
                                if (error) {
                                  target.probe.refused();
                                } else {
                                  target.probe.input(tsp::Bytes(target.buffer).first(size), Clock::now());
                                  if (!target.probe.is_over()) receive(round, target);
                                }
                                if (target.probe.is_over()) round->changed.cancel();
                              });
}

void open(const std::shared_ptr<Round>& round, Round::Target& target, const EchoTarget& wanted) {
  const asio::ip::udp::endpoint peer(wanted.address, wanted.port);
  error_code error;
  target.socket.open(peer.protocol(), error);
  if (!error && wanted.source) target.socket.bind({*wanted.source, 0}, error);
  if (!error) target.socket.connect(peer, error);
  if (!error) target.socket.non_blocking(true, error);
  if (error) return target.probe.refused();
  receive(round, target);
}

// Whoever ends the coroutine that measures, its handlers find nothing more to do.
class Ending {
 public:
  explicit Ending(Round& round) : round_(round) {}
  ~Ending() {
    round_.is_wanted = false;
    error_code ignored;
    for (const auto& target : round_.targets) target->socket.close(ignored);
  }
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;

 private:
  Round& round_;
};

}  // namespace

EchoProbe::TimePoint EchoProbe::due(unsigned request) const {
  // 0, 2 and 5 s of 10 s, as deployed clients.
  static constexpr std::array<int, kTries> kTenths{0, 2, 5};
  return start_ + limit_ * kTenths[request] / 10;
}

EchoProbe::TimePoint EchoProbe::deadline() const {
  if (is_over()) return TimePoint::max();
  return sent_.size() < kTries ? due(static_cast<unsigned>(sent_.size())) : start_ + limit_;
}

std::optional<std::vector<std::uint8_t>> EchoProbe::tick(TimePoint now) {
  if (is_over() || now < deadline()) return std::nullopt;
  if (now >= start_ + limit_) {
    state_ = State::kFailed;
    return std::nullopt;
  }
  // The timestamp comes back in the answer and tells which request it answers.
  sent_.push_back(now);
  return tsp::make_rudp({tsp::RudpClient::kFirstSequence, static_cast<std::uint32_t>(sent_.size())},
                        kRequest);
}

void EchoProbe::input(tsp::Bytes datagram, TimePoint now) {
  const auto message = tsp::parse_rudp(datagram);
  if (is_over() || !message || message->header.sequence != tsp::RudpClient::kFirstSequence) return;
  const auto request = message->header.timestamp;
  if (request == 0 || request > sent_.size()) return;
  const auto status = tsp::StatusLine::parse(message->text);
  if (!status || status->code != tsp::kSuccess) {
    // It speaks, but will not have us.
    state_ = State::kFailed;
    return;
  }
  distance_ = duration_cast<microseconds>(now - sent_[request - 1]);
  state_ = State::kAnswered;
}

asio::awaitable<std::vector<std::optional<microseconds>>> measure(std::vector<EchoTarget> targets,
                                                                  EchoLimits limits) {
  const auto executor = co_await asio::this_coro::executor;
  const auto round = std::make_shared<Round>(executor);
  const Ending ending(*round);
  const auto start = Clock::now();
  for (const auto& wanted : targets) {
    round->targets.push_back(std::make_unique<Round::Target>(executor, start, limits.all));
    open(round, *round->targets.back(), wanted);
  }
  auto end = start + limits.all;
  bool is_answered = false;
  for (;;) {
    const auto now = Clock::now();
    auto deadline = Clock::time_point::max();
    for (const auto& target : round->targets) {
      error_code error;
      if (const auto request = target->probe.tick(now)) target->socket.send(asio::buffer(*request), 0, error);
      // A full queue is what the further requests are for; a refusal is told to the reception.
      if (error == asio::error::network_unreachable || error == asio::error::host_unreachable)
        target->probe.refused();
      if (target->probe.distance() && !std::exchange(is_answered, true))
        end = std::min(end, now + limits.after_first);
      deadline = std::min(deadline, target->probe.deadline());
    }
    if (deadline == Clock::time_point::max() || now >= end) break;
    round->changed.expires_at(std::min(deadline, end));
    co_await round->changed.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  std::vector<std::optional<microseconds>> distances;
  for (const auto& target : round->targets) distances.push_back(target->probe.distance());
  co_return distances;
}

}  // namespace sixlink::tunnel
