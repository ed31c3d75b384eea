// SPDX-License-Identifier: BSD-3-Clause
// The broker's side of one TSP session.
#include "src/tsp/server_session.h"

#include <algorithm>
#include <array>

#include "src/tsp/status.h"

namespace sixlink::tsp {
namespace {

// A session may try this often before it is closed: typing errors yes, guessing no.
constexpr unsigned kMostFailedLogins = 3;

bool is_supported(std::string_view version) {
  return std::find(std::begin(kVersions), std::end(kVersions), version) != std::end(kVersions);
}

// In the authentication phase deployed clients need the NUL; elsewhere it does no harm.
std::string redirect_reply(const ServerPolicy& policy) {
  return status_line(kRedirection) + policy.redirection + '\0';
}

std::string version_reply(const ServerPolicy& policy, std::string_view version) {
  if (policy.redirects_all && !policy.redirection.empty()) return redirect_reply(policy);
  return is_supported(version) ? policy.capabilities.to_string() : status_line(kVersionNotSupported);
}

}  // namespace

std::optional<std::string> stateless_reply(const ServerPolicy& policy, std::string_view message) {
  if (const auto version = parse_version(message)) return version_reply(policy, *version);
  while (!message.empty() && (message.back() == '\0' || message.back() == '\n' || message.back() == '\r'))
    message.remove_suffix(1);
  if (message == "ECHO REQUEST" && policy.answers_echo) return status_line(kSuccess);
  return std::nullopt;
}

ServerSession::Output ServerSession::invalid(std::string_view why) {
  Output output;
  output.reply = status_line(kInvalidRequest);
  output.rejection = why;
  return output;
}

ServerSession::Output ServerSession::login_failed(std::string_view why) {
  Output output;
  output.reply = status_line(kAuthenticationFailed);
  output.rejection = why;
  output.is_failed_login = true;
  output.is_closing = ++failed_logins_ >= kMostFailedLogins;
  state_ = State::kReady;
  pending_user_.clear();
  passdss_.reset();
  return output;
}

ServerSession::Output ServerSession::login_postponed() {
  Output output;
  output.reply = status_line(kServerBusy);
  state_ = State::kReady;
  passdss_.reset();
  return output;
}

Framer::Expectation ServerSession::expected() const {
  Framer::Expectation expected;
  expected.is_plain = state_ == State::kPlain;
  if (state_ == State::kPassDssHello) expected.measure = &PassDssServer::measure_hello;
  if (state_ == State::kPassDssAnswer)
    expected.measure = [server = passdss_.get()](std::string_view start) {
      return server->measure_answer(start);
    };
  return expected;
}

ServerSession::Output ServerSession::input(std::string_view message) {
  if (state_ == State::kPlain) return on_plain(message);
  if (state_ == State::kPassDssHello) return on_passdss_hello(message);
  if (state_ == State::kPassDssAnswer) return on_passdss_answer(message);
  if (state_ == State::kDigestEnd && message.empty()) {
    Output output;
    output.reply = status_line(kSuccess);
    user_ = pending_user_;
    state_ = State::kAuthenticated;
    return output;
  }
  if (const auto version = parse_version(message)) return on_version(*version);
  if (const auto mechanism = parse_authenticate(message)) return on_authenticate(*mechanism);
  if (state_ == State::kDigestResponse) return on_digest_response(message);
  const Content content = parse_content(message);
  if (content.state == Content::State::kComplete) return on_xml(content);
  if (content.state != Content::State::kNone) return invalid("Content-length does not fit the message");
  // An empty message asks for a part of a reply that is not there.
  if (message.empty()) return {};
  return invalid("unknown command");
}

ServerSession::Output ServerSession::on_version(std::string_view version) {
  if (state_ > State::kReady) return invalid("VERSION in the middle of a session");
  Output output;
  output.reply = version_reply(policy_, version);
  if (is_supported(version)) {
    version_ = version;
    state_ = State::kReady;
  } else {
    output.rejection = "TSP version not supported";
  }
  return output;
}

ServerSession::Output ServerSession::on_authenticate(const std::string& mechanism) {
  if (state_ >= State::kAuthenticated) return invalid("AUTHENTICATE after a login");
  if (!policy_.capabilities.offers_auth(mechanism)) return login_failed("authentication method not offered");
  Output output;
  if (mechanism == "ANONYMOUS") {
    output.reply = status_line(kSuccess);
    user_.clear();
    state_ = State::kAuthenticated;
  } else if (mechanism == "PLAIN") {
    state_ = State::kPlain;  // the bare header; nothing over TCP
  } else if (mechanism == "DIGEST-MD5") {
    output.reply = base64_encode(DigestChallenge{policy_.realm, nonce_}.to_string()) + "\r\n";
    state_ = State::kDigestResponse;
  } else if (mechanism == kPassDss && policy_.host_key != nullptr) {
    passdss_ = std::make_unique<PassDssServer>(*policy_.host_key, policy_.make_exponent());
    state_ = State::kPassDssHello;  // the bare header; nothing over TCP
  } else {
    return login_failed("authentication method not implemented");
  }
  return output;
}

bool ServerSession::is_password_of(const std::string& user, std::string_view password) {
  const auto known = credentials_.find(user);
  Md5 given = digest_ha1(user, policy_.realm, password);
  // The same work for an unknown user, so that time does not tell who exists.
  const Md5 expected = known.value_or(Md5{});
  const bool matches = CRYPTO_memcmp(given.data(), expected.data(), given.size()) == 0 && known.has_value();
  OPENSSL_cleanse(given.data(), given.size());
  return matches;
}

ServerSession::Output ServerSession::on_plain(std::string_view message) {
  const auto credentials = parse_plain(message);
  if (!credentials) return login_failed("malformed PLAIN credentials");
  if (!is_password_of(std::string(credentials->user), credentials->password))
    return login_failed("wrong user or password");
  Output output;
  output.reply = status_line(kSuccess);
  user_ = credentials->user;
  state_ = State::kAuthenticated;
  return output;
}

ServerSession::Output ServerSession::on_passdss_hello(std::string_view message) {
  auto challenge = passdss_->on_hello(message);
  if (!challenge) {
    auto output = login_failed("malformed PASSDSS-3DES-1 request");
    output.is_failed_login = false;  // counted before it was computed
    return output;
  }
  Output output;
  output.reply = *std::move(challenge);
  state_ = State::kPassDssAnswer;
  return output;
}

ServerSession::Output ServerSession::on_passdss_answer(std::string_view message) {
  const auto password = passdss_->on_answer(message);
  const auto user = passdss_->user();
  const bool matches = password && is_password_of(user, password->reveal());
  if (!matches) {
    auto output =
        login_failed(password ? "wrong user or password" : "PASSDSS-3DES-1 answer to another challenge");
    output.is_failed_login = false;
    return output;
  }
  Output output;
  output.reply = status_line(kSuccess);
  output.is_costly_login_done = true;
  user_ = user;
  state_ = State::kAuthenticated;
  passdss_.reset();
  return output;
}

ServerSession::Output ServerSession::on_digest_response(std::string_view message) {
  const auto text = base64_decode(message);
  const auto fields = text ? DigestResponse::parse(*text) : std::nullopt;
  if (!fields) return login_failed("malformed DIGEST-MD5 response");
  // The nonce is this session's, so a response that was overheard elsewhere is worth nothing; nc has but one
  // valid value.
  if (fields->nonce != nonce_ || fields->nonce_count != "00000001" || fields->realm != policy_.realm ||
      !fields->digest_uri.starts_with("tsp/")) {
    return login_failed("DIGEST-MD5 response to another challenge");
  }
  const auto known = credentials_.find(fields->user);
  const Md5 ha1 = known.value_or(Md5{});
  const bool matches =
      pki::equal_constant_time(digest_response_value(ha1, *fields), fields->response) && known.has_value();
  if (!matches) return login_failed("wrong user or password");
  Output output;
  output.reply = base64_encode("rspauth=" + digest_rspauth_value(ha1, *fields)) + "\r\n";
  // One response a challenge.
  nonce_ += "x";
  if (transport_ == Transport::kTcp) {
    output.delayed_reply = status_line(kSuccess);
    user_ = fields->user;
    state_ = State::kAuthenticated;
  } else {
    pending_user_ = fields->user;
    state_ = State::kDigestEnd;
  }
  return output;
}

ServerSession::Output ServerSession::on_xml(const Content& content) {
  // Not refused(): a request that is being granted stays so, whatever comes meanwhile.
  const auto refuse = [](int status, std::string_view why) {
    Output output;
    output.reply = with_content_length(status_line(status));
    output.rejection = why;
    return output;
  };
  if (!is_authenticated()) return refuse(kAuthenticationFailed, "request before a login");
  const auto action = parse_action(content.body);
  if (!action) return refuse(action.error().status, "malformed XML");
  if (*action == Action::kAccept) {
    if (state_ != State::kGranted && state_ != State::kAccepted)
      return refuse(kInvalidRequest, "accept of nothing");
    state_ = State::kAccepted;
    Output output;
    output.is_accepted = true;
    output.is_closing = transport_ == Transport::kTcp;
    return output;
  }
  if (*action != Action::kCreate && *action != Action::kDelete)
    return refuse(kInvalidRequest, "action not served");
  if (state_ == State::kGranting || state_ == State::kReleasing)
    return refuse(kRequestInProgress, "request while one is in progress");
  if (*action == Action::kDelete) {
    const auto request = parse_delete(content.body);
    if (!request) return refuse(request.error().status, "delete with bad values");
    state_ = State::kReleasing;
    Output output;
    output.release = *request;
    return output;
  }
  if (state_ != State::kAuthenticated) return refuse(kInvalidRequest, "second create in a session");
  auto request = parse_create(content.body);
  if (!request) return refuse(request.error().status, "create with bad values");
  state_ = State::kGranting;
  Output output;
  output.create = *std::move(request);
  return output;
}

ServerSession::Output ServerSession::granted(const TunnelInfo& tunnel) {
  // 1.0.1 ends here: it has no accept.
  state_ = version_ == "1.0.1" ? State::kAccepted : State::kGranted;
  Output output;
  output.reply = with_content_length(status_line(kSuccess) + tunnel.to_xml());
  output.is_accepted = state_ == State::kAccepted;
  output.is_closing = output.is_accepted && transport_ == Transport::kTcp;
  return output;
}

ServerSession::Output ServerSession::released(int status) {
  if (state_ == State::kReleasing) state_ = State::kAuthenticated;
  Output output;
  output.reply = with_content_length(status_line(status));
  output.is_closing = status == kSuccess && transport_ == Transport::kTcp;
  return output;
}

ServerSession::Output ServerSession::refused(int status) {
  if (state_ == State::kGranting) state_ = State::kAuthenticated;
  Output output;
  if (status == kRedirection && !policy_.redirection.empty()) {
    output.reply = with_content_length(redirect_reply(policy_));
    output.is_closing = transport_ == Transport::kTcp;
    return output;
  }
  if (status == kRedirection) status = kServerBusy;
  output.reply = with_content_length(status_line(status));
  return output;
}

}  // namespace sixlink::tsp
