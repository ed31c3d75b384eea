// SPDX-License-Identifier: BSD-3-Clause
// TSP over TCP: one coroutine a connection, each with a deadline; numbers of connections are bounded in all
// and by address.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>

#include "registry/broker/rudp_sessions.h"

namespace sixlink::registry {

class TcpSessions {
 public:
  struct Hooks {
    std::function<void(const tsp::CreateRequest&, const Requester&, Granter::Done)> grant;
    std::function<void(const boost::asio::ip::address& peer, std::string_view why)> rejected;
    std::function<std::string()> make_nonce;
    std::function<bool(const boost::asio::ip::address& peer)> may_log_in =
        [](const boost::asio::ip::address&) { return true; };
    std::function<void(const boost::asio::ip::address& peer)> login_failed =
        [](const boost::asio::ip::address&) {};
    // A login is to make us compute (PASSDSS-3DES-1): counted as failed until it succeeds. False: not now.
    std::function<bool(const boost::asio::ip::address& peer)> begin_costly_login =
        [](const boost::asio::ip::address&) { return true; };
    std::function<void(const boost::asio::ip::address& peer)> costly_login_done =
        [](const boost::asio::ip::address&) {};
    // Ends the requester's lease; the TSP status is given when that is durable.
    std::function<void(const tsp::DeleteRequest&, const Requester&, Granter::Released)> release =
        [](const tsp::DeleteRequest&, const Requester&, const Granter::Released& done) {
          done(tsp::kServerError);
        };
  };
  // A whole negotiation takes a few round trips. Who needs longer holds a place that others want.
  static constexpr std::chrono::milliseconds kLongestSession{60000};

  TcpSessions(const RudpSessions::Settings& settings, const tsp::ServerPolicy& policy,
              tsp::Credentials& credentials, Hooks hooks,
              std::chrono::milliseconds longest_session = kLongestSession)
      : settings_(settings),
        policy_(policy),
        credentials_(credentials),
        hooks_(std::move(hooks)),
        longest_session_(longest_session) {}

  // Accepts on `acceptor` (listening, on `executor`) until it is closed. Outlives every connection.
  void listen(boost::asio::ip::tcp::acceptor& acceptor);
  std::size_t size() const { return open_->count; }

 private:
  // Connections hold it too: at the program's end they may outlive this object by a moment.
  struct Open {
    std::size_t count = 0;
    std::unordered_map<std::string, std::size_t> per_address;
  };
  class Slot;
  boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket socket, std::shared_ptr<Slot> slot);
  boost::asio::awaitable<void> converse(boost::asio::ip::tcp::socket& socket);
  boost::asio::awaitable<Granter::Answer> grant(const tsp::CreateRequest& request,
                                                const Requester& requester);
  boost::asio::awaitable<int> release(const tsp::DeleteRequest& request, const Requester& requester);

  RudpSessions::Settings settings_;
  const tsp::ServerPolicy& policy_;
  tsp::Credentials& credentials_;
  Hooks hooks_;
  std::chrono::milliseconds longest_session_;
  std::shared_ptr<Open> open_ = std::make_shared<Open>();
};

}  // namespace sixlink::registry
