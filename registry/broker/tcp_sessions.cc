// SPDX-License-Identifier: BSD-3-Clause
// TSP over TCP.
#include "registry/broker/tcp_sessions.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "src/net/outer_address.h"
#include "src/tsp/status.h"

namespace sixlink::registry {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;
using asio::ip::tcp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// The client closes after the last reply; closing first could take that reply back from it.
constexpr std::chrono::seconds kLingerLimit{5};
// Deployed clients read "200 Success" apart from rspauth, or hang (man/sixlink-tsp.7).
constexpr std::chrono::milliseconds kRspauthPause{200};

}  // namespace

// Counts one connection while it lives.
class TcpSessions::Slot {
 public:
  Slot(std::shared_ptr<Open> open, std::string address)
      : open_(std::move(open)), address_(std::move(address)) {
    ++open_->count;
    ++open_->per_address[address_];
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() {
    --open_->count;
    const auto found = open_->per_address.find(address_);
    if (--found->second == 0) open_->per_address.erase(found);
  }

 private:
  std::shared_ptr<Open> open_;
  std::string address_;
};

void TcpSessions::listen(tcp::acceptor& acceptor) {
  acceptor.async_accept([this, &acceptor](const boost::system::error_code& error, tcp::socket socket) {
    if (error == asio::error::operation_aborted || !acceptor.is_open()) return;
    if (error) {
      // Out of descriptors: a moment's pause, or the loop would spin.
      const auto timer =
          std::make_shared<asio::steady_timer>(acceptor.get_executor(), std::chrono::milliseconds(200));
      timer->async_wait([this, &acceptor, timer](const boost::system::error_code& stopped) {
        if (!stopped && acceptor.is_open()) listen(acceptor);
      });
      return;
    }
    boost::system::error_code gone;
    const auto peer = net::unmapped(socket.remote_endpoint(gone).address());
    const auto quota = net::quota_address(peer).to_string();
    const auto held = open_->per_address.find(quota);
    if (gone) {
      // Closed again already.
    } else if (open_->count >= settings_.most_sessions ||
               (held != open_->per_address.end() && held->second >= settings_.most_per_address)) {
      hooks_.rejected(peer, "too many TCP connections");
    } else {
      auto slot = std::make_shared<Slot>(open_, quota);
      const auto executor = socket.get_executor();
      asio::co_spawn(executor, serve(std::move(socket), std::move(slot)), [](const std::exception_ptr&) {});
    }
    listen(acceptor);
  });
}

asio::awaitable<void> TcpSessions::serve(tcp::socket socket, std::shared_ptr<Slot>) {
  asio::steady_timer limit(socket.get_executor(), longest_session_);
  co_await (converse(socket) || limit.async_wait(kAwait));
}

asio::awaitable<Granter::Answer> TcpSessions::grant(const tsp::CreateRequest& request,
                                                    const Requester& requester) {
  struct Waiting {
    explicit Waiting(const asio::any_io_executor& executor)
        : answered(executor, std::chrono::steady_clock::time_point::max()) {}
    asio::steady_timer answered;
    Granter::Answer answer = static_cast<int>(tsp::kServerError);
  };
  const auto waiting = std::make_shared<Waiting>(co_await asio::this_coro::executor);
  hooks_.grant(request, requester, [waiting](Granter::Answer answer) {
    waiting->answer = std::move(answer);
    // In the past: whoever waits for it, now or later, continues at once.
    waiting->answered.expires_at(std::chrono::steady_clock::time_point::min());
  });
  co_await waiting->answered.async_wait(kAwait);
  co_return waiting->answer;
}

asio::awaitable<int> TcpSessions::release(const tsp::DeleteRequest& request, const Requester& requester) {
  struct Waiting {
    explicit Waiting(const asio::any_io_executor& executor)
        : answered(executor, std::chrono::steady_clock::time_point::max()) {}
    asio::steady_timer answered;
    int status = tsp::kServerError;
  };
  const auto waiting = std::make_shared<Waiting>(co_await asio::this_coro::executor);
  hooks_.release(request, requester, [waiting](int status) {
    waiting->status = status;
    waiting->answered.expires_at(std::chrono::steady_clock::time_point::min());
  });
  co_await waiting->answered.async_wait(kAwait);
  co_return waiting->status;
}

asio::awaitable<void> TcpSessions::converse(tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  const auto remote = socket.remote_endpoint(ignored);
  const auto peer = net::unmapped(remote.address());
  const auto local = net::unmapped(socket.local_endpoint(ignored).address());
  tsp::ServerSession session(policy_, credentials_, tsp::Transport::kTcp, hooks_.make_nonce());
  tsp::Framer framer(tsp::Framer::Side::kServer);
  asio::steady_timer pause(socket.get_executor());
  std::array<char, 4096> buffer;
  bool is_closing = false;
  while (!is_closing) {
    const auto [error, size] = co_await socket.async_read_some(asio::buffer(buffer), kAwait);
    if (error) co_return;
    bool is_sound = framer.append({buffer.data(), size});
    while (!is_closing) {
      framer.expect(session.expected());
      const auto message = framer.next();
      if (!message) break;
      if ((tsp::is_login(*message) || session.expects_password()) && !hooks_.may_log_in(peer)) {
        hooks_.rejected(peer, "too many failed logins");
        const auto busy = tsp::status_line(tsp::kServerBusy);
        co_await asio::async_write(socket, asio::buffer(busy), kAwait);
        co_return;
      }
      const bool is_postponed = session.expects_costly_login() && !hooks_.begin_costly_login(peer);
      auto output = is_postponed ? session.login_postponed() : session.input(*message);
      if (is_postponed) hooks_.rejected(peer, "too many logins");
      if (!output.rejection.empty()) hooks_.rejected(peer, output.rejection);
      if (output.is_failed_login) hooks_.login_failed(peer);
      if (output.is_costly_login_done) hooks_.costly_login_done(peer);
      const Requester requester{session.user(), tsp::Transport::kTcp, peer, remote.port(), local};
      if (output.release) {
        const int status = co_await release(*output.release, requester);
        output = session.released(status);
      }
      if (output.create) {
        const auto answer = co_await grant(*output.create, requester);
        const auto* tunnel = std::get_if<tsp::TunnelInfo>(&answer);
        output = tunnel ? session.granted(*tunnel) : session.refused(std::get<int>(answer));
      }
      if (!output.reply.empty()) {
        const auto [failure, written] =
            co_await asio::async_write(socket, asio::buffer(output.reply), kAwait);
        if (failure) co_return;
      }
      if (!output.delayed_reply.empty()) {
        pause.expires_after(kRspauthPause);
        co_await pause.async_wait(kAwait);
        const auto [failure, written] =
            co_await asio::async_write(socket, asio::buffer(output.delayed_reply), kAwait);
        if (failure) co_return;
      }
      is_closing = output.is_closing;
    }
    is_sound = is_sound && framer.append({});
    if (!is_sound) {
      hooks_.rejected(peer, "oversized message over TCP");
      co_return;
    }
  }
  socket.shutdown(tcp::socket::shutdown_send, ignored);
  pause.expires_after(kLingerLimit);
  for (;;) {
    const auto outcome =
        co_await (socket.async_read_some(asio::buffer(buffer), kAwait) || pause.async_wait(kAwait));
    if (outcome.index() == 1 || std::get<0>(std::get<0>(outcome))) co_return;
  }
}

}  // namespace sixlink::registry
