// SPDX-License-Identifier: BSD-3-Clause
// The client's side of one TSP session.
#include "src/tsp/client_session.h"

#include <algorithm>

#include "src/tsp/digest_md5.h"
#include "src/tsp/status.h"

namespace sixlink::tsp {
namespace {

// Strongest first; PLAIN shows the password to the path.
constexpr std::string_view kByStrength[] = {kPassDss, "DIGEST-MD5", "PLAIN"};

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + printable(word, 32);
  return text.empty() ? "none" : text;
}

}  // namespace

ClientSession::Output ClientSession::fail(FailureKind kind, std::string message, int status) {
  state_ = State::kDone;
  Output output;
  // The broker's words are in it, and a user's script or syslog may take the message for a format.
  std::replace(message.begin(), message.end(), '%', '?');
  output.failure = Failure{kind, status, std::move(message), {}};
  return output;
}

ClientSession::Output ClientSession::fail_with(const StatusLine& status) {
  if (status.code == kSuccess)
    return fail(FailureKind::kBadReply, "the broker reports a success where something else was due",
                status.code);
  if (is_redirect(status.code)) {
    auto brokers = parse_redirect(status.rest);
    if (!brokers)
      return fail(FailureKind::kBadReply, "the broker redirects, but " + brokers.error().message,
                  status.code);
    auto output = fail(FailureKind::kRedirect, explain_status(kRedirection, status.text), status.code);
    output.failure->brokers = *std::move(brokers);
    return output;
  }
  FailureKind kind = FailureKind::kStatus;
  std::string message = explain_status(status.code, status.text);
  switch (status.code) {
    case kAuthenticationFailed:
      kind = FailureKind::kAuthentication;
      break;
    case kVersionNotSupported:
      kind = FailureKind::kVersion;
      break;
    case kModeNotSupported:
      kind = FailureKind::kModeNotOffered;
      if (asked_ == Mode::kWireguard) break;
      if (profile_.request.client_address.is_v6() && asked_ != Mode::kV4V6) {
        message +=
            ". The negotiation went over IPv6; a tunnel of IPv6 in IPv4 needs a broker that is reached over "
            "IPv4";
        break;
      }
      // The usual reason that a client is on TCP at all.
      if (profile_.transport == Transport::kTcp && profile_.request.mode != Mode::kV6V4) {
        message +=
            ". The negotiation went over TCP because UDP did not get through; v6udpv4 carries its packets in "
            "UDP and cannot"
            " work over TCP: let UDP port " +
            std::to_string(net::kTspPort) + " to the broker through the firewall";
      }
      break;
    case kNoTunnelsLeft:
    case kRequestInProgress:
    case kServerBusy:
      kind = FailureKind::kBusy;
      break;
    default:
      break;
  }
  return fail(kind, std::move(message), status.code);
}

ClientSession::Output ClientSession::start() {
  Output output;
  output.sends.push_back("VERSION=" + std::string(profile_.version) + "\r\n");
  return output;
}

ClientSession::Output ClientSession::input(std::string_view reply) {
  // RUDP may deliver a long reply in parts; an empty message asks for the next one.
  std::string whole;
  if (profile_.transport == Transport::kRudp &&
      (!partial_.empty() || parse_content(reply).state == Content::State::kIncomplete)) {
    if (reply.empty() || partial_.size() + reply.size() > kLongestContent + kLongestLine) {
      return fail(FailureKind::kBadReply, "the broker's reply is shorter than its Content-length says");
    }
    partial_ += reply;
    if (parse_content(partial_).state == Content::State::kIncomplete) {
      Output output;
      output.sends.emplace_back();
      return output;
    }
    whole = std::exchange(partial_, {});
    reply = whole;
  }
  switch (state_) {
    case State::kVersion:
      return on_capabilities(reply);
    case State::kPlainFirst:
    case State::kPassDssFirst:
      return on_first_line(reply);
    case State::kPassDssChallenge:
      return on_passdss_challenge(reply);
    case State::kDigestChallenge:
      return on_challenge(reply);
    case State::kDigestRspauth:
      return on_rspauth(reply);
    case State::kAnonymous:
    case State::kPlain:
    case State::kDigestEnd:
    case State::kPassDssEnd:
      return on_authenticated(reply);
    case State::kCreate:
      return on_info(reply);
    case State::kDelete:
      return on_deleted(reply);
    case State::kAccept: {
      // A bare header acknowledges; a status other than 200 takes it back.
      if (const auto status = StatusLine::parse(reply); status && status->code != kSuccess)
        return fail_with(*status);
      state_ = State::kDone;
      Output output;
      output.tunnel = std::move(tunnel_);
      return output;
    }
    case State::kDone:
      break;
  }
  return fail(FailureKind::kBadReply, "the broker sent more after the session's end");
}

ClientSession::Output ClientSession::on_capabilities(std::string_view reply) {
  const auto capabilities = Capabilities::parse(reply);
  if (!capabilities) {
    if (const auto status = StatusLine::parse(reply)) return fail_with(*status);
    return fail(FailureKind::kBadReply, "no TSP broker answers there: \"" + printable(reply, 60) + "\"");
  }
  const Mode mode = profile_.request.mode;
  const bool is_wireguard_offered = capabilities->offers_tunnel(capability_name(Mode::kWireguard));
  if (profile_.prefers_wireguard && is_wireguard_offered && mode == Mode::kV6AnyV4 &&
      profile_.request.wireguard_key && profile_.transport == Transport::kRudp)
    asked_ = Mode::kWireguard;
  const bool is_offered = capabilities->offers_tunnel(capability_name(asked_)) ||
                          (mode == Mode::kV6AnyV4 &&
                           (capabilities->offers_tunnel("V6UDPV4") || capabilities->offers_tunnel("V6V4")));
  // What is not offered any more may still be given back.
  if (!is_offered && profile_.purpose == Purpose::kCreate) {
    return fail(FailureKind::kModeNotOffered, "the broker offers no " + std::string(to_string(mode)) +
                                                  " tunnels, only: " + join(capabilities->tunnels));
  }
  return choose_method(*capabilities);
}

ClientSession::Output ClientSession::choose_method(const Capabilities& capabilities) {
  const auto begin = [this](std::string_view method) {
    return authenticate(method, method == kPassDss  ? State::kPassDssFirst
                                : method == "PLAIN" ? State::kPlainFirst
                                                    : State::kDigestChallenge);
  };
  const auto no_common = [&](std::string_view why) {
    return fail(FailureKind::kNoCommonMethod,
                std::string(why) + "; the broker offers: " + join(capabilities.auths));
  };
  switch (profile_.auth) {
    case ClientAuth::kAnonymous:
      if (!capabilities.offers_auth("ANONYMOUS"))
        return no_common("the broker takes no anonymous clients: set userid, passwd and auth_method");
      return authenticate("ANONYMOUS", State::kAnonymous);
    case ClientAuth::kDigestMd5:
      if (!capabilities.offers_auth("DIGEST-MD5"))
        return no_common("the broker does not offer auth_method=digest-md5");
      return begin("DIGEST-MD5");
    case ClientAuth::kPassDss3Des1:
      if (!capabilities.offers_auth(kPassDss))
        return no_common("the broker does not offer auth_method=passdss-3des-1");
      return begin(kPassDss);
    case ClientAuth::kPlain:
      if (!capabilities.offers_auth("PLAIN")) return no_common("the broker does not offer auth_method=plain");
      plain_despite_stronger_ = capabilities.offers_auth("DIGEST-MD5") || capabilities.offers_auth(kPassDss);
      return begin("PLAIN");
    case ClientAuth::kAny:
      break;
  }
  for (const auto method : kByStrength) {
    if (capabilities.offers_auth(method)) return begin(method);
  }
  return no_common("no common authentication method");
}

ClientSession::Output ClientSession::authenticate(std::string_view method, State next) {
  method_ = method;
  state_ = next;
  Output output;
  // Deployed clients end this line with a NUL as well, and deployed servers expect it.
  output.sends.push_back("AUTHENTICATE " + std::string(method) + "\r\n" + std::string(1, '\0'));
  // TCP has no reply to the first line of PLAIN and PASSDSS-3DES-1.
  const bool has_second = next == State::kPlainFirst || next == State::kPassDssFirst;
  if (has_second && profile_.transport == Transport::kTcp) {
    auto second = on_first_line({});
    output.sends.insert(output.sends.end(), second.sends.begin(), second.sends.end());
  }
  return output;
}

ClientSession::Output ClientSession::on_first_line(std::string_view reply) {
  if (const auto status = StatusLine::parse(reply)) return fail_with(*status);
  Output output;
  if (state_ == State::kPassDssFirst) {
    passdss_ = std::make_unique<PassDssClient>(profile_.user, profile_.make_exponent());
    state_ = State::kPassDssChallenge;
    output.sends.push_back(passdss_->hello());
  } else {
    state_ = State::kPlain;
    output.sends.push_back(std::string(1, '\0') + profile_.user + std::string(1, '\0') +
                           std::string(profile_.password->reveal()) + "\r\n");
  }
  return output;
}

ClientSession::Output ClientSession::on_passdss_challenge(std::string_view reply) {
  if (const auto status = StatusLine::parse(reply)) return fail_with(*status);
  if (const auto problem = passdss_->on_challenge(reply); !problem.empty())
    return fail(FailureKind::kBadReply, "the broker's PASSDSS-3DES-1 challenge " + std::string(problem));
  const auto verdict =
      profile_.check_host_key
          ? profile_.check_host_key(passdss_->host_key())
          : HostKeyVerdict{false, "the broker's host key cannot be checked here; use auth_method=digest-md5"};
  if (!verdict.is_trusted) return fail(FailureKind::kAuthentication, verdict.why_not);
  if (profile_.password->reveal().size() > kLongestPassword)
    return fail(FailureKind::kAuthentication, "the password is too long for PASSDSS-3DES-1");
  Output output;
  output.sends.push_back(passdss_->answer(profile_.password->reveal()));
  passdss_.reset();
  state_ = State::kPassDssEnd;
  return output;
}

ClientSession::Output ClientSession::on_authenticated(std::string_view reply) {
  const auto status = StatusLine::parse(reply);
  if (!status)
    return fail(FailureKind::kBadReply,
                "the broker did not say whether the login succeeded: \"" + printable(reply, 60) + "\"");
  if (status->code != kSuccess) return fail_with(*status);
  return create();
}

ClientSession::Output ClientSession::on_challenge(std::string_view reply) {
  if (const auto status = StatusLine::parse(reply)) return fail_with(*status);
  const auto text = base64_decode(reply);
  const auto challenge = text ? DigestChallenge::parse(*text) : std::nullopt;
  if (!challenge) return fail(FailureKind::kBadReply, "the broker's DIGEST-MD5 challenge is malformed");
  const auto response = answer_challenge(*challenge, profile_.user, profile_.password->reveal(),
                                         "tsp/" + profile_.server_text, profile_.cnonce);
  Md5 ha1 = digest_ha1(profile_.user, challenge->realm, profile_.password->reveal());
  expected_rspauth_ = digest_rspauth_value(ha1, response);
  OPENSSL_cleanse(ha1.data(), ha1.size());
  state_ = State::kDigestRspauth;
  Output output;
  output.sends.push_back(base64_encode(response.to_string()) + "\r\n");
  return output;
}

ClientSession::Output ClientSession::on_rspauth(std::string_view reply) {
  if (const auto status = StatusLine::parse(reply)) return fail_with(*status);
  const auto newline = reply.find('\n');
  const auto text = base64_decode(reply.substr(0, newline));
  constexpr std::string_view kRspauth = "rspauth=";
  std::string_view value = text ? std::string_view(*text) : std::string_view();
  if (!value.starts_with(kRspauth))
    return fail(FailureKind::kBadReply, "the broker's DIGEST-MD5 answer is malformed");
  value.remove_prefix(kRspauth.size());
  if (!pki::equal_constant_time(value, expected_rspauth_)) {
    return fail(FailureKind::kAuthentication,
                "the broker could not prove that it knows the password: it may be an impostor");
  }
  state_ = State::kDigestEnd;
  const auto rest = newline == std::string_view::npos ? std::string_view() : reply.substr(newline + 1);
  if (StatusLine::parse(rest)) return on_authenticated(rest);
  Output output;
  if (profile_.transport == Transport::kRudp) output.sends.emplace_back();
  return output;
}

ClientSession::Output ClientSession::create() {
  if (profile_.purpose == Purpose::kDelete) {
    Output output;
    state_ = State::kDelete;
    output.sends.push_back(with_content_length(profile_.release.to_xml()));
    return output;
  }
  return send_request();
}

ClientSession::Output ClientSession::send_request() {
  state_ = State::kCreate;
  auto request = profile_.request;
  request.mode = asked_;
  // Old brokers are asked as they always were.
  if (asked_ != Mode::kWireguard) request.wireguard_key.reset();
  Output output;
  output.sends.push_back(with_content_length(request.to_xml()));
  return output;
}

bool ClientSession::may_do_without_wireguard(const StatusLine& status) const {
  return asked_ == Mode::kWireguard && profile_.prefers_wireguard && status.code == kModeNotSupported;
}

ClientSession::Output ClientSession::on_deleted(std::string_view reply) {
  const auto content = parse_content(reply);
  const auto status = StatusLine::parse(content.state == Content::State::kComplete ? content.body : reply);
  if (!status)
    return fail(FailureKind::kBadReply,
                "the broker's answer to the release has no status: \"" + printable(reply, 60) + "\"");
  if (status->code != kSuccess) return fail_with(*status);
  state_ = State::kDone;
  Output output;
  output.is_released = true;
  return output;
}

ClientSession::Output ClientSession::on_info(std::string_view reply) {
  const auto content = parse_content(reply);
  if (content.state == Content::State::kBad || content.state == Content::State::kIncomplete) {
    return fail(FailureKind::kBadReply, "the broker's reply has a malformed or too large Content-length");
  }
  const auto status = StatusLine::parse(content.state == Content::State::kComplete ? content.body : reply);
  if (!status)
    return fail(FailureKind::kBadReply,
                "the broker's answer to the request has no status: \"" + printable(reply, 60) + "\"");
  if (may_do_without_wireguard(*status)) {
    asked_ = profile_.request.mode;
    return send_request();
  }
  if (status->code != kSuccess) return fail_with(*status);
  auto info = parse_info(status->rest);
  if (!info)
    return fail(FailureKind::kBadParameters,
                "the broker's tunnel parameters cannot be used: " + info.error().message,
                info.error().status);
  // v6anyv4 leaves to the broker how IPv6 goes through IPv4, and nothing else.
  const bool is_choice =
      asked_ == Mode::kV6AnyV4 && (info->mode == Mode::kV6UdpV4 || info->mode == Mode::kV6V4);
  if (info->mode != asked_ && !is_choice) {
    return fail(FailureKind::kBadParameters, "the broker granted a " + std::string(to_string(info->mode)) +
                                                 " tunnel where " + std::string(to_string(asked_)) +
                                                 " was asked for");
  }
  if (info->mode == Mode::kV6UdpV4 && profile_.transport == Transport::kTcp) {
    return fail(FailureKind::kBadParameters,
                "the broker granted v6udpv4 over TCP, where UDP packets cannot go");
  }
  if (profile_.request.is_router && profile_.request.prefix_length.value_or(0) > 0 && !info->prefix &&
      !info->prefix_v4) {
    return fail(FailureKind::kBadParameters, "the broker granted no prefix, although one was asked for");
  }
  Output output;
  // 1.0.1 has no accept.
  if (profile_.version == "1.0.1") {
    state_ = State::kDone;
    output.tunnel = *std::move(info);
    return output;
  }
  output.sends.push_back(with_content_length(kAcceptXml));
  if (profile_.transport == Transport::kTcp) {
    state_ = State::kDone;
    output.tunnel = *std::move(info);
  } else {
    state_ = State::kAccept;
    tunnel_ = *std::move(info);
  }
  return output;
}

}  // namespace sixlink::tsp
