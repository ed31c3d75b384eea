// SPDX-License-Identifier: BSD-3-Clause
// All RUDP sessions of the broker: datagrams in, datagrams out, memory bounded whatever arrives. No I/O.
#pragma once

#include <boost/asio/ip/udp.hpp>
#include <boost/intrusive/list.hpp>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "registry/broker/granter.h"
#include "src/tsp/rudp.h"
#include "src/tsp/server_session.h"

namespace sixlink::registry {

class RudpSessions {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Settings {
    std::size_t most_sessions = 4096;
    std::size_t most_per_address = 256;  // of one IPv4 address or IPv6 /64
  };
  struct Hooks {
    // Sends to `peer` from our address `local` on socket `socket`.
    std::function<void(std::size_t socket, const boost::asio::ip::udp::endpoint& peer,
                       const boost::asio::ip::address& local, std::vector<std::uint8_t> datagram)>
        send;
    // Hands a create to the Granter.
    std::function<void(const tsp::CreateRequest&, const Requester&, Granter::Done)> grant;
    // A message was refused; for counting and logging.
    std::function<void(const boost::asio::ip::address& peer, std::string_view why)> rejected;
    std::function<std::string()> make_nonce;
    // False: this address failed to log in too often lately. Asked before each AUTHENTICATE that is not
    // anonymous.
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

  RudpSessions(const Settings& settings, const tsp::ServerPolicy& policy, tsp::Credentials& credentials,
               Hooks hooks)
      : settings_(settings), policy_(policy), credentials_(credentials), hooks_(std::move(hooks)) {}

  void input(std::size_t socket, const boost::asio::ip::udp::endpoint& peer,
             const boost::asio::ip::address& local, tsp::Bytes datagram, TimePoint now);
  // Asked before VERSION is answered by a redirection, which is longer than what asks for it and goes to an
  // address that may be forged. Without it, always.
  void limit_redirections(std::function<bool(const boost::asio::ip::address& peer)> may_redirect) {
    may_redirect_ = std::move(may_redirect);
  }
  // Forgets sessions that are over or abandoned.
  void expire(TimePoint now);
  std::size_t size() const { return sessions_.size(); }

 private:
  struct Key {
    boost::asio::ip::udp::endpoint peer;
    boost::asio::ip::address local;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  // In the list by age; its key is the table's.
  struct Session : boost::intrusive::list_base_hook<> {
    const Key* key = nullptr;
    std::uint64_t serial = 0;  // tells a session from a later one at the same key
    std::size_t socket = 0;
    tsp::RudpServerPeer rudp;
    std::unique_ptr<tsp::ServerSession> tsp;
    TimePoint last_heard{};
    std::uint32_t timestamp = 0;  // of the message under way
    bool may_restart = false;     // VERSION came again: the next new AUTHENTICATE begins a new session
    bool is_counted = true;       // against its address's quota, until it is granted
  };
  struct AddressHash {
    std::size_t operator()(const boost::asio::ip::address& address) const;
  };

  Session* find_or_create(const Key& key, std::size_t socket, const tsp::RudpMessage& message, TimePoint now);
  void send_status(std::size_t socket, const Key& key, const tsp::RudpMessage& message, int status);
  void uncount(Session& session);
  void handle(Session& session, const tsp::RudpMessage& message);
  tsp::ServerSession::Output advance(Session& session, std::string_view text);
  // The session that asked; null: it is there no more.
  Session* find(const Key& key, std::uint64_t serial);
  void reply(Session& session, std::string text, std::uint32_t timestamp);
  void erase(Session& session);

  Settings settings_;
  std::function<bool(const boost::asio::ip::address& peer)> may_redirect_ =
      [](const boost::asio::ip::address&) { return true; };
  const tsp::ServerPolicy& policy_;
  tsp::Credentials& credentials_;
  Hooks hooks_;
  std::unordered_map<Key, Session, KeyHash> sessions_;
  boost::intrusive::list<Session> by_age_;  // least recently heard first
  std::unordered_map<boost::asio::ip::address, std::size_t, AddressHash> per_address_;
  std::uint64_t next_serial_ = 1;
};

}  // namespace sixlink::registry
