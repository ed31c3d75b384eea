// SPDX-License-Identifier: BSD-3-Clause
// The broker's side of one TSP session (RFC 5572 section 4.4). A machine without I/O: whole messages in,
// replies out; granting a tunnel is the caller's, because it must be durable before the reply and may be
// shared by many sessions.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/tsp/client_session.h"
#include "src/tsp/digest_md5.h"
#include "src/tsp/message.h"
#include "src/tsp/passdss.h"
#include "src/tsp/tunnel_xml.h"

namespace sixlink::tsp {

// Who may log in. Looked up while a session runs; a failing store is "nobody".
class Credentials {
 public:
  virtual ~Credentials() = default;
  // H({user, realm, password}); nullopt: no such user.
  virtual std::optional<Md5> find(std::string_view user) = 0;
};

struct ServerPolicy {
  Capabilities capabilities;  // what is offered is what is accepted
  std::string realm;          // no quote or backslash
  // PASSDSS-3DES-1; outlives the policy. null: it cannot be offered.
  const HostKey* host_key = nullptr;
  MakeExponent make_exponent = &random_exponent;
  // redirect_xml() of the brokers that newcomers are sent to; empty: there are none.
  std::string redirection = {};
  bool redirects_all = false;  // in reply to VERSION
  bool answers_echo = true;
};

//  kVersion --VERSION--> kReady --AUTHENTICATE--> kPlain, kDigest.., kPassDss..
//                          ^  |                      |       |
//                          |  +--ANONYMOUS-----------|--200--+--> kAuthenticated --create--> kGranting
//                          +--------300--------------+                  ^                     |   |
//                                                                       +----refused()--------+   |
//                                       kAccepted <--accept-- kGranted <-------granted()----------+
//
//  kAuthenticated, kGranted, kAccepted --delete--> kReleasing --released()--> kAuthenticated
//
// kVersion takes AUTHENTICATE as well: the reply to VERSION needs no memory of the client.
class ServerSession {
 public:
  struct Output {
    // RUDP: always to be sent, "" as the bare header. TCP: to be sent when not empty.
    std::string reply;
    // TCP: to be sent as a segment of its own at least 200 ms after `reply`.
    std::string delayed_reply;
    // To be granted or refused, then granted() or refused() gives the reply; `reply` is not to be sent now.
    std::optional<CreateRequest> create;
    // The client's lease is to be ended, then released() gives the reply; `reply` is not to be sent now.
    std::optional<DeleteRequest> release;
    bool is_accepted = false;      // the client took the tunnel
    bool is_failed_login = false;  // wrong user or password: to be counted by address
    // The login that expects_costly_login() spoke of succeeded: what was counted for it is to be taken back.
    bool is_costly_login_done = false;
    bool is_closing = false;  // nothing more is expected: close after the replies
    // For counting and logging: why the message was refused; empty when it was not.
    std::string_view rejection;
  };

  // `policy` and `credentials` outlive the session; `nonce` is unpredictable, printable, without quotes.
  ServerSession(const ServerPolicy& policy, Credentials& credentials, Transport transport, std::string nonce)
      : policy_(policy), credentials_(credentials), transport_(transport), nonce_(std::move(nonce)) {}

  Output input(std::string_view message);
  // The lease is durable.
  Output granted(const TunnelInfo& tunnel);
  // kRedirection: with the policy's brokers; kServerBusy when there are none.
  Output refused(int status);
  // The lease's end is durable (kSuccess), or why not.
  Output released(int status);
  // In place of input() when expects_password() or expects_costly_login() and the client's address may not
  // try any more.
  Output login_postponed();

  // Empty: anonymous.
  const std::string& user() const { return user_; }
  bool is_authenticated() const { return state_ >= State::kAuthenticated; }
  bool is_accepted() const { return state_ == State::kAccepted; }
  // For Framer::expect(); valid until the next input().
  Framer::Expectation expected() const;
  // The next message can be a guess: many sessions that began together are not to have one each.
  bool expects_password() const { return state_ == State::kPlain || state_ == State::kDigestResponse; }
  // The next message makes us compute for about a millisecond (PASSDSS-3DES-1): to be counted as a failed
  // login before input() is called.
  bool expects_costly_login() const { return state_ == State::kPassDssHello; }

 private:
  enum class State {
    kVersion,
    kReady,
    kPlain,
    kDigestResponse,
    kDigestEnd,
    kPassDssHello,
    kPassDssAnswer,
    kAuthenticated,
    kGranting,
    kReleasing,
    kGranted,
    kAccepted
  };

  Output on_version(std::string_view version);
  Output on_authenticate(const std::string& mechanism);
  Output on_plain(std::string_view message);
  Output on_digest_response(std::string_view message);
  Output on_passdss_hello(std::string_view message);
  Output on_passdss_answer(std::string_view message);
  bool is_password_of(const std::string& user, std::string_view password);
  Output on_xml(const Content& content);
  Output invalid(std::string_view why);
  Output login_failed(std::string_view why);

  const ServerPolicy& policy_;
  Credentials& credentials_;
  Transport transport_;
  std::string nonce_;
  State state_ = State::kVersion;
  std::string version_ = std::string(kVersions[0]);
  std::string user_;
  std::string pending_user_;
  std::unique_ptr<PassDssServer> passdss_;
  unsigned failed_logins_ = 0;
};

// The reply to VERSION depends on nothing but the policy, so that a flood of them needs no memory. nullopt:
// not VERSION or ECHO REQUEST.
std::optional<std::string> stateless_reply(const ServerPolicy& policy, std::string_view message);

}  // namespace sixlink::tsp
