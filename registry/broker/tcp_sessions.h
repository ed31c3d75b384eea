// SPDX-License-Identifier: BSD-3-Clause
// TSP over TCP: one coroutine a connection, each with a deadline; numbers of connections are bounded in all and by address.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
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
  };
  TcpSessions(const RudpSessions::Settings& settings, const tsp::ServerPolicy& policy, tsp::Credentials& credentials, Hooks hooks)
      : settings_(settings), policy_(policy), credentials_(credentials), hooks_(std::move(hooks)) {}

  // Accepts on `acceptor` (listening, on `executor`) until it is closed. Outlives every connection.
  void listen(boost::asio::ip::tcp::acceptor& acceptor);
  std::size_t size() const { return count_; }

 private:
  class Slot;
  boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket socket, std::shared_ptr<Slot> slot);
  boost::asio::awaitable<void> converse(boost::asio::ip::tcp::socket& socket);
  boost::asio::awaitable<Granter::Answer> grant(const tsp::CreateRequest& request, const Requester& requester);

  RudpSessions::Settings settings_;
  const tsp::ServerPolicy& policy_;
  tsp::Credentials& credentials_;
  Hooks hooks_;
  std::size_t count_ = 0;
  std::unordered_map<std::string, std::size_t> per_address_;
};

}  // namespace sixlink::registry
