// SPDX-License-Identifier: BSD-3-Clause
// Carries one TSP session over a real socket.
#include "src/tunnel/negotiator.h"

#include <openssl/crypto.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>

#include "src/tsp/rudp.h"
#include "src/tsp/status.h"

namespace sixlink::tunnel {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// Ours: as long as a silent RUDP server gets, then as long as one that answers gets.
constexpr std::chrono::seconds kConnectLimit{6};
constexpr std::chrono::seconds kReplyLimit{30};

tsp::Failure socket_failure(const std::string& what, const error_code& error) {
  return {tsp::FailureKind::kSocket, 0, what + ": " + error.message(), {}};
}

tsp::Failure bind_failure(const asio::ip::address& source, const error_code& error) {
  if (error != boost::system::errc::address_not_available)
    return socket_failure("cannot send from " + source.to_string(), error);
  const std::string key = source.is_v4() ? "client_v4" : "client_v6";
  return {tsp::FailureKind::kClientAddress,
          0,
          "this machine has no address " + source.to_string() + ", which " + key +
              " names: mend that, or set " + key + "=auto",
          {}};
}

tsp::Failure no_answer(std::string_view transport, bool was_answered) {
  return {tsp::FailureKind::kNoAnswer,
          0,
          was_answered
              ? "the broker stopped answering over " + std::string(transport)
              : "no answer over " + std::string(transport) + " (the broker is down, or a firewall drops it)",
          {}};
}

// Everything else is a PLAIN line or a DIGEST-MD5 response, from which a password can be guessed.
bool is_free_of_credentials(std::string_view text) {
  return text.empty() || text.starts_with("VERSION=") || text.starts_with("AUTHENTICATE ") ||
         text.starts_with("Content-length:");
}

// Ours: who says goodbye is on his way out.
constexpr std::chrono::seconds kReleaseLimit{10};

// One session's I/O over a transport. send() and receive() end with a Failure in `failure_` at most.
class Carrier {
 public:
  virtual ~Carrier() = default;
  virtual asio::awaitable<std::optional<tsp::Failure>> connect() = 0;
  virtual asio::awaitable<std::optional<tsp::Failure>> send(const std::string& text) = 0;
  // The next whole reply.
  virtual asio::awaitable<std::optional<tsp::Failure>> receive(std::string& reply) = 0;
  virtual asio::ip::address local_address() = 0;
  virtual unsigned round_trips() const = 0;
};

class RudpCarrier final : public Carrier {
 public:
  // `socket`: connected, or none.
  RudpCarrier(const asio::any_io_executor& executor, NegotiationTarget target,
              std::optional<asio::ip::udp::socket> socket,
              std::function<void(std::span<std::uint8_t>)> on_packet)
      : target_(std::move(target)),
        on_packet_(std::move(on_packet)),
        socket_(socket ? *std::move(socket) : asio::ip::udp::socket(executor)),
        timer_(executor),
        rudp_(Clock::now()) {}

  asio::awaitable<std::optional<tsp::Failure>> connect() override {
    if (socket_.is_open()) co_return std::nullopt;
    const asio::ip::udp::endpoint peer(target_.address, target_.port);
    error_code error;
    socket_.open(peer.protocol(), error);
    if (!error && target_.source) {
      socket_.bind({*target_.source, 0}, error);
      if (error) co_return bind_failure(*target_.source, error);
    }
    if (!error) socket_.connect(peer, error);
    if (error) co_return socket_failure("cannot use UDP", error);
    co_return std::nullopt;
  }

  asio::awaitable<std::optional<tsp::Failure>> send(const std::string& text) override {
    co_return transmit(rudp_.send(text, Clock::now()));
  }

  asio::awaitable<std::optional<tsp::Failure>> receive(std::string& reply) override {
    for (;;) {
      timer_.expires_at(rudp_.deadline());
      const auto outcome =
          co_await (socket_.async_receive(asio::buffer(buffer_), kAwait) || timer_.async_wait(kAwait));
      const auto now = Clock::now();
      if (outcome.index() == 0) {
        const auto& [error, size] = std::get<0>(outcome);
        if (error == asio::error::connection_refused) {
          co_return tsp::Failure{tsp::FailureKind::kSocket,
                                 0,
                                 "no broker listens on UDP port " + std::to_string(target_.port),
                                 {}};
        }
        if (error) co_return socket_failure("UDP failed", error);
        const auto event = rudp_.input(tsp::Bytes(buffer_).first(size), now);
        if (event.kind == tsp::RudpClient::Event::Kind::kReply) {
          reply = event.text;
          ++round_trips_;
          co_return std::nullopt;
        }
        if (!tsp::is_rudp(tsp::Bytes(buffer_).first(size))) on_packet_(std::span(buffer_).first(size));
        // Whatever keeps arriving, the question is repeated and given up in its time.
        if (now < rudp_.deadline()) continue;
      } else if (const auto& [error] = std::get<1>(outcome); error) {
        co_return socket_failure("UDP failed", error);
      }
      const auto event = rudp_.tick(now);
      if (event.kind == tsp::RudpClient::Event::Kind::kTimeout) co_return no_answer("UDP", round_trips_ > 0);
      if (event.kind == tsp::RudpClient::Event::Kind::kRetransmit) {
        if (auto failure = transmit(event.datagram)) co_return failure;
      }
    }
  }

  asio::ip::address local_address() override {
    error_code ignored;
    return socket_.local_endpoint(ignored).address();
  }
  unsigned round_trips() const override { return round_trips_; }
  asio::ip::udp::socket take_socket() { return std::move(socket_); }

 private:
  std::optional<tsp::Failure> transmit(const std::vector<std::uint8_t>& datagram) {
    error_code error;
    socket_.send(asio::buffer(datagram), 0, error);
    // A full queue or a passing route problem is what retransmission is for; a refusal is reported by
    // receive().
    if (error == asio::error::network_unreachable || error == asio::error::host_unreachable)
      return socket_failure("cannot reach the broker over UDP", error);
    return std::nullopt;
  }

  NegotiationTarget target_;
  std::function<void(std::span<std::uint8_t>)> on_packet_;
  asio::ip::udp::socket socket_;
  asio::steady_timer timer_;
  tsp::RudpClient rudp_;
  std::array<std::uint8_t, 65536> buffer_{};
  unsigned round_trips_ = 0;
};

class TcpCarrier final : public Carrier {
 public:
  TcpCarrier(const asio::any_io_executor& executor, NegotiationTarget target)
      : target_(std::move(target)),
        socket_(executor),
        timer_(executor),
        framer_(tsp::Framer::Side::kClient) {}

  asio::awaitable<std::optional<tsp::Failure>> connect() override {
    const asio::ip::tcp::endpoint peer(target_.address, target_.port);
    error_code error;
    socket_.open(peer.protocol(), error);
    if (!error && target_.source) {
      socket_.bind({*target_.source, 0}, error);
      if (error) co_return bind_failure(*target_.source, error);
    }
    if (error) co_return socket_failure("cannot use TCP", error);
    timer_.expires_after(kConnectLimit);
    const auto outcome = co_await (socket_.async_connect(peer, kAwait) || timer_.async_wait(kAwait));
    if (outcome.index() == 1) co_return no_answer("TCP", false);
    if (const auto& [failure] = std::get<0>(outcome); failure)
      co_return socket_failure("cannot connect over TCP", failure);
    ++round_trips_;
    // The session is a series of short messages, each awaited.
    socket_.set_option(asio::ip::tcp::no_delay(true), error);
    co_return std::nullopt;
  }

  asio::awaitable<std::optional<tsp::Failure>> send(const std::string& text) override {
    timer_.expires_after(kReplyLimit);
    const auto outcome =
        co_await (asio::async_write(socket_, asio::buffer(text), kAwait) || timer_.async_wait(kAwait));
    if (outcome.index() == 1) co_return no_answer("TCP", true);
    if (const auto& [error, size] = std::get<0>(outcome); error)
      co_return socket_failure("TCP failed", error);
    co_return std::nullopt;
  }

  asio::awaitable<std::optional<tsp::Failure>> receive(std::string& reply) override {
    timer_.expires_after(kReplyLimit);
    std::array<char, 4096> buffer;
    for (;;) {
      if (auto message = framer_.next()) {
        reply = std::move(*message);
        ++round_trips_;
        co_return std::nullopt;
      }
      // next() found that nothing valid can come any more, or append() that a bound was exceeded: no need to
      // wait for the time limit.
      if (!framer_.append({}))
        co_return tsp::Failure{
            tsp::FailureKind::kBadReply, 0, "the broker's reply is malformed or too long", {}};
      const auto outcome =
          co_await (socket_.async_read_some(asio::buffer(buffer), kAwait) || timer_.async_wait(kAwait));
      if (outcome.index() == 1) co_return no_answer("TCP", round_trips_ > 1);
      const auto& [error, size] = std::get<0>(outcome);
      if (error == asio::error::eof)
        co_return tsp::Failure{tsp::FailureKind::kSocket,
                               0,
                               "the broker closed the TCP connection in the middle of the negotiation",
                               {}};
      if (error) co_return socket_failure("TCP failed", error);
      (void)framer_.append({buffer.data(), size});
    }
  }

  asio::ip::address local_address() override {
    error_code ignored;
    return socket_.local_endpoint(ignored).address();
  }
  unsigned round_trips() const override { return round_trips_; }

 private:
  NegotiationTarget target_;
  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_;
  tsp::Framer framer_;
  unsigned round_trips_ = 0;
};

}  // namespace

asio::awaitable<Negotiation> negotiate(tsp::ClientProfile profile, NegotiationTarget target,
                                       NegotiationEvents events,
                                       std::optional<asio::ip::udp::socket> socket) {
  const auto executor = co_await asio::this_coro::executor;
  Negotiation result;
  profile.transport = target.transport;
  result.version = profile.version;
  std::unique_ptr<RudpCarrier> rudp;
  std::unique_ptr<TcpCarrier> tcp;
  Carrier* carrier = nullptr;
  if (target.transport == tsp::Transport::kRudp) {
    rudp = std::make_unique<RudpCarrier>(executor, target, std::move(socket), events.on_packet);
    carrier = rudp.get();
  } else {
    tcp = std::make_unique<TcpCarrier>(executor, target);
    carrier = tcp.get();
  }
  result.failure = co_await carrier->connect();
  if (result.failure) co_return result;
  result.local_address = carrier->local_address();
  if (!profile.request.is_proxy) profile.request.client_address = result.local_address;

  tsp::ClientSession session(std::move(profile));
  auto output = session.start();
  std::string reply;
  bool has_warned = false;
  for (;;) {
    if (session.sent_plain_despite_stronger() && !std::exchange(has_warned, true))
      events.on_plain_despite_stronger();
    for (auto& text : output.sends) {
      events.on_message('>', is_free_of_credentials(text) ? std::string_view(text) : "(credentials)");
      result.failure = co_await carrier->send(text);
      OPENSSL_cleanse(text.data(), text.size());
      if (result.failure) co_return result;
    }
    if (output.is_done()) break;
    result.failure = co_await carrier->receive(reply);
    result.round_trips = carrier->round_trips();
    if (result.failure) co_return result;
    events.on_message('<', reply);
    output = session.input(reply);
  }
  result.method = session.method();
  result.failure = std::move(output.failure);
  result.tunnel = std::move(output.tunnel);
  result.is_released = output.is_released;
  if (result.tunnel && rudp) result.socket = rudp->take_socket();
  co_return result;
}

asio::awaitable<DeleteResult> release_lease(tsp::ClientProfile profile, NegotiationTarget target,
                                            std::optional<asio::ip::udp::socket> socket) {
  profile.purpose = tsp::Purpose::kDelete;
  if (socket) {
    target.transport = tsp::Transport::kRudp;
  } else if (profile.auth == tsp::ClientAuth::kAnonymous) {
    target.transport = tsp::Transport::kTcp;
  }
  asio::steady_timer limit(co_await asio::this_coro::executor, kReleaseLimit);
  auto negotiating = negotiate(std::move(profile), std::move(target), NegotiationEvents(), std::move(socket));
  const auto outcome = co_await (std::move(negotiating) || limit.async_wait(kAwait));
  if (outcome.index() == 1) co_return DeleteResult{false, "the broker did not answer in time"};
  const auto& negotiation = std::get<0>(outcome);
  co_return DeleteResult{negotiation.is_released,
                         negotiation.failure ? negotiation.failure->message : std::string()};
}

}  // namespace sixlink::tunnel
