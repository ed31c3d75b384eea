// SPDX-License-Identifier: BSD-3-Clause
// All RUDP sessions of the broker.
#include "registry/broker/rudp_sessions.h"

#include <cstring>

#include "src/net/outer_address.h"
#include "src/tsp/status.h"

namespace sixlink::registry {
namespace {

using boost::asio::ip::address;
using boost::asio::ip::udp;

// A deployed client retransmits for 66 s at most; later nothing of this session can come.
constexpr std::chrono::seconds kForgetAfter{70};

// The finalizer of SplitMix64: neighbouring ports and addresses must not share buckets.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

std::uint64_t hash_of(const address& address) {
  if (address.is_v4()) return mix(address.to_v4().to_uint());
  const auto bytes = address.to_v6().to_bytes();
  std::uint64_t halves[2];
  std::memcpy(halves, bytes.data(), sizeof halves);
  return mix(halves[0]) ^ mix(halves[1] + 0x9e3779b97f4a7c15ULL);
}

}  // namespace

std::size_t RudpSessions::AddressHash::operator()(const address& address) const {
  return static_cast<std::size_t>(hash_of(address));
}

std::size_t RudpSessions::KeyHash::operator()(const Key& key) const {
  return static_cast<std::size_t>(mix(hash_of(key.peer.address()) + key.peer.port()) + hash_of(key.local));
}

void RudpSessions::erase(Session& session) {
  uncount(session);
  by_age_.erase(by_age_.iterator_to(session));
  sessions_.erase(sessions_.find(*session.key));
}

void RudpSessions::uncount(Session& session) {
  if (!std::exchange(session.is_counted, false)) return;
  const auto quota = per_address_.find(net::quota_address(session.key->peer.address()));
  if (quota != per_address_.end() && --quota->second == 0) per_address_.erase(quota);
}

void RudpSessions::send_status(std::size_t socket, const Key& key, const tsp::RudpMessage& message,
                               int status) {
  hooks_.send(socket, key.peer, key.local, tsp::make_rudp(message.header, tsp::status_line(status)));
}

void RudpSessions::expire(TimePoint now) {
  while (!by_age_.empty() && now - by_age_.front().last_heard >= kForgetAfter) erase(by_age_.front());
}

RudpSessions::Session* RudpSessions::find_or_create(const Key& key, std::size_t socket,
                                                    const tsp::RudpMessage& message, TimePoint now) {
  const bool is_authenticate = tsp::parse_authenticate(message.text).has_value();
  if (const auto found = sessions_.find(key); found != sessions_.end()) {
    auto& session = found->second;
    // A copy of the AUTHENTICATE that is being handled, behind a copy of VERSION, begins nothing.
    const bool is_copy =
        session.rudp.sequence() == message.header.sequence && message.header.timestamp >= session.timestamp;
    if (!(session.may_restart && is_authenticate && !is_copy)) {
      session.last_heard = now;
      by_age_.splice(by_age_.end(), by_age_, by_age_.iterator_to(session));
      return &session;
    }
    erase(session);
  }
  // Only AUTHENTICATE begins a session: VERSION needs no memory, and anything else cannot come first.
  if (!is_authenticate) {
    hooks_.rejected(key.peer.address(), "message outside a session");
    return nullptr;
  }
  auto& held = per_address_[net::quota_address(key.peer.address())];
  if (held >= settings_.most_per_address) {
    hooks_.rejected(key.peer.address(), "too many sessions from one address");
    send_status(socket, key, message, tsp::kServerBusy);
    return nullptr;
  }
  // The longest silent one goes: a session takes milliseconds, a flood of abandoned ones must not keep new
  // clients out.
  ++held;
  if (sessions_.size() >= settings_.most_sessions) erase(by_age_.front());
  const auto made = sessions_.try_emplace(key).first;
  auto& session = made->second;
  session.key = &made->first;
  session.serial = next_serial_++;
  session.socket = socket;
  session.tsp =
      std::make_unique<tsp::ServerSession>(policy_, credentials_, tsp::Transport::kRudp, hooks_.make_nonce());
  session.last_heard = now;
  by_age_.push_back(session);
  return &session;
}

void RudpSessions::input(std::size_t socket, const udp::endpoint& peer, const address& local,
                         tsp::Bytes datagram, TimePoint now) {
  const auto message = tsp::parse_rudp(datagram);
  if (!message) {
    hooks_.rejected(peer.address(), "no RUDP header");
    return;
  }
  if (message->text.size() > tsp::kLongestContent + 64) {
    hooks_.rejected(peer.address(), "oversized message");
    return;
  }
  const Key key{peer, local};
  if (const auto text = tsp::stateless_reply(policy_, message->text)) {
    const bool is_redirected = policy_.redirects_all && tsp::parse_version(message->text);
    if (is_redirected && !may_redirect_(peer.address())) {
      hooks_.rejected(peer.address(), "too many requests from one address");
      return;
    }
    if (const auto found = sessions_.find(key); found != sessions_.end()) found->second.may_restart = true;
    hooks_.send(socket, peer, local, tsp::make_rudp(message->header, *text));
    return;
  }
  if (tsp::is_login(message->text) && !hooks_.may_log_in(peer.address())) {
    hooks_.rejected(peer.address(), "too many failed logins");
    send_status(socket, key, *message, tsp::kServerBusy);
    return;
  }
  Session* session = find_or_create(key, socket, *message, now);
  if (session) handle(*session, *message);
}

void RudpSessions::handle(Session& session, const tsp::RudpMessage& message) {
  session.may_restart = false;
  switch (session.rudp.classify(message.header.sequence)) {
    case tsp::RudpServerPeer::Disposition::kNew:
      break;
    case tsp::RudpServerPeer::Disposition::kRepeated:
      hooks_.send(session.socket, session.key->peer, session.key->local,
                  tsp::make_rudp(message.header, session.rudp.last_reply()));
      return;
    case tsp::RudpServerPeer::Disposition::kPending:
      return;
    case tsp::RudpServerPeer::Disposition::kStale:
      hooks_.rejected(session.key->peer.address(), "old sequence number");
      return;
  }
  session.rudp.begin(message.header.sequence);
  session.timestamp = message.header.timestamp;
  auto output = advance(session, message.text);
  if (!output.create && !output.release) {
    reply(session, std::move(output.reply), message.header.timestamp);
    if (output.is_closing) erase(session);
    return;
  }
  Requester requester{session.tsp->user(), tsp::Transport::kRudp, session.key->peer.address(),
                      session.key->peer.port(), session.key->local};
  if (output.release) {
    hooks_.release(*output.release, requester,
                   [this, key = *session.key, serial = session.serial](int status) {
                     if (auto* waiting = find(key, serial))
                       reply(*waiting, waiting->tsp->released(status).reply, waiting->timestamp);
                   });
    return;
  }
  hooks_.grant(
      *output.create, requester, [this, key = *session.key, serial = session.serial](Granter::Answer answer) {
        auto* waiting = find(key, serial);
        if (!waiting) return;
        const auto* tunnel = std::get_if<tsp::TunnelInfo>(&answer);
        if (tunnel) uncount(*waiting);
        auto granted = tunnel ? waiting->tsp->granted(*tunnel) : waiting->tsp->refused(std::get<int>(answer));
        reply(*waiting, std::move(granted.reply), waiting->timestamp);
      });
}

tsp::ServerSession::Output RudpSessions::advance(Session& session, std::string_view text) {
  const auto peer = session.key->peer.address();
  if (session.tsp->expects_password() && !hooks_.may_log_in(peer)) {
    hooks_.rejected(peer, "too many failed logins");
    return session.tsp->login_postponed();
  }
  if (session.tsp->expects_costly_login() && !hooks_.begin_costly_login(peer)) {
    hooks_.rejected(peer, "too many logins");
    return session.tsp->login_postponed();
  }
  auto output = session.tsp->input(text);
  if (!output.rejection.empty()) hooks_.rejected(peer, output.rejection);
  if (output.is_failed_login) hooks_.login_failed(peer);
  if (output.is_costly_login_done) hooks_.costly_login_done(peer);
  return output;
}

RudpSessions::Session* RudpSessions::find(const Key& key, std::uint64_t serial) {
  const auto found = sessions_.find(key);
  // Forgotten under pressure, or begun anew, while the lease was written: the client asks again.
  return found == sessions_.end() || found->second.serial != serial ? nullptr : &found->second;
}

void RudpSessions::reply(Session& session, std::string text, std::uint32_t timestamp) {
  const tsp::RudpHeader header{session.rudp.sequence(), timestamp};
  auto datagram = tsp::make_rudp(header, text);
  session.rudp.answered(std::move(text));
  hooks_.send(session.socket, session.key->peer, session.key->local, std::move(datagram));
}

}  // namespace sixlink::registry
