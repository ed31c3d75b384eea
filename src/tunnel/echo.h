// SPDX-License-Identifier: BSD-3-Clause
// How far away brokers are: each is asked by ECHO REQUEST over RUDP, all at the same time. The request and
// its answer are deployed practice (man/sixlink-tsp.7, "Redirection").
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "src/net/server_address.h"
#include "src/tsp/rudp.h"

namespace sixlink::tunnel {

// One broker's echo: three requests at most, the first answer counts. A machine without I/O.
//
//   waiting --answer 200--> answered
//      |  ^
//      |  +--tick(): the second and the third request
//      +--refused(), the limit, another answer--> failed
class EchoProbe {
 public:
  using TimePoint = tsp::TimePoint;
  static constexpr unsigned kTries = 3;

  // `limit`: when an unanswered probe has failed.
  EchoProbe(TimePoint start, std::chrono::milliseconds limit) : start_(start), limit_(limit) {}

  // The request to send now; nullopt: none is due.
  std::optional<std::vector<std::uint8_t>> tick(TimePoint now);
  // What cannot be an answer to one of the requests is ignored.
  void input(tsp::Bytes datagram, TimePoint now);
  // Nobody listens there.
  void refused() { state_ = State::kFailed; }

  bool is_over() const { return state_ != State::kWaiting; }
  // The next request, or the limit; max() when it is over.
  TimePoint deadline() const;
  // From the request that was answered to its answer; nullopt until there is one.
  std::optional<std::chrono::microseconds> distance() const { return distance_; }

 private:
  enum class State { kWaiting, kAnswered, kFailed };
  TimePoint due(unsigned request) const;

  TimePoint start_;
  std::chrono::milliseconds limit_;
  State state_ = State::kWaiting;
  std::vector<TimePoint> sent_;
  std::optional<std::chrono::microseconds> distance_;
};

struct EchoTarget {
  boost::asio::ip::address address;
  std::uint16_t port = net::kTspPort;
  std::optional<boost::asio::ip::address> source;  // bind there
};

struct EchoLimits {
  // Deployed clients wait 10 s.
  std::chrono::milliseconds all{10000};
  // Who has not answered this long after the first one did is farther away in any case, unless a datagram was
  // lost: time for one more request.
  std::chrono::milliseconds after_first{2500};
};

// The distance of each target, in their order; nullopt: it did not answer in time. Ends early when all are
// known. Cancellable.
boost::asio::awaitable<std::vector<std::optional<std::chrono::microseconds>>> measure(
    std::vector<EchoTarget> targets, EchoLimits limits);

}  // namespace sixlink::tunnel
