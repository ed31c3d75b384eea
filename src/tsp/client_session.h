// SPDX-License-Identifier: BSD-3-Clause
// The client's side of one TSP session (RFC 5572 section 4.4), from VERSION to accept. A machine without I/O:
// the caller carries messages over RUDP or TCP and gives whole replies.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/pki/secret.h"
#include "src/tsp/message.h"
#include "src/tsp/passdss.h"
#include "src/tsp/tunnel_xml.h"

namespace sixlink::tsp {

enum class Transport { kRudp, kTcp };
enum class ClientAuth { kAnonymous, kAny, kPlain, kDigestMd5, kPassDss3Des1 };

enum class FailureKind {
  kNoAnswer,        // nothing came back in time
  kSocket,          // the transport failed: refused, unreachable, closed
  kClientAddress,   // this machine has not the address to send from
  kVersion,         // 302 to this version
  kBusy,            // 530, 521, 301: later it may work
  kStatus,          // any other status
  kRedirect,        // `brokers` says where to
  kModeNotOffered,  // 303, or the capabilities lack the mode
  kAuthentication,  // 300, or the server could not prove who it is
  kNoCommonMethod,  // no authentication method that both sides have
  kBadReply,        // not TSP, or a reply out of place
  kBadParameters,   // the tunnel's parameters cannot be used
};

struct Failure {
  FailureKind kind = FailureKind::kBadReply;
  int status = 0;       // TSP's, 0 when there is none
  std::string message;  // a sentence for the user
  BrokerList brokers;   // kRedirect
};

// Whether a broker's host key may be trusted with the password.
struct HostKeyVerdict {
  bool is_trusted = false;
  std::string why_not;  // for the user: what this means, and what to do
};

enum class Purpose {
  kCreate,
  kDelete,
};

struct ClientProfile {
  Transport transport = Transport::kRudp;
  std::string_view version = kVersions[0];
  ClientAuth auth = ClientAuth::kAnonymous;
  std::string user;
  const pki::Secret* password = nullptr;  // outlives the session; needed unless anonymous
  std::string server_text;  // the broker as the configuration has it; digest-uri is "tsp/" + this
  std::string cnonce;       // decimal digits, unpredictable
  CreateRequest request;
  // With v6anyv4 and a wireguard_key in `request`: mode wireguard is asked for first where the broker offers
  // it. Over RUDP only: where UDP does not get through, WireGuard does not either.
  bool prefers_wireguard = false;
  Purpose purpose = Purpose::kCreate;
  DeleteRequest release;  // kDelete; `request` says of which mode the tunnel was asked for
  // PASSDSS-3DES-1: asked once the broker has proved that the key is its own, before anything is sent that
  // depends on the password. The key is as src/tsp/passdss_host_key.h has it. Without it no key is trusted.
  std::function<HostKeyVerdict(std::string_view key)> check_host_key;
  MakeExponent make_exponent = &random_exponent;
};

//  start() -> kVersion --CAPABILITY--> kAnonymous, kPlain.., kDigest.., kPassDss.. --200--> kCreate --info-->
//  kAccept
//                |                               |                               |  |               |   |
//                |                               |                               |  +-> kDelete --200--|
//                +-------------------------------+----- status, redirection, nonsense --------------+  |
//                                                |                                                  done
//                                              failed
class ClientSession {
 public:
  struct Output {
    std::vector<std::string>
        sends;  // messages to send, in order. RUDP: one at most; "" asks for the next part of a reply
    std::optional<TunnelInfo> tunnel;  // done; over TCP the accept in `sends` is to be sent first
    std::optional<Failure> failure;    // done
    bool is_released = false;          // done: Purpose::kDelete
    bool is_done() const { return tunnel || failure || is_released; }
  };

  explicit ClientSession(ClientProfile profile)
      : profile_(std::move(profile)), asked_(profile_.request.mode) {}

  Output start();
  // One whole reply (RUDP: a datagram's text, empty for a bare header; TCP: what Framer gave).
  Output input(std::string_view reply);

  // The broker offers a stronger method than the PLAIN that the user insists on; the caller warns.
  bool sent_plain_despite_stronger() const { return plain_despite_stronger_; }
  // "DIGEST-MD5"; empty before it was chosen.
  std::string_view method() const { return method_; }

 private:
  enum class State {
    kVersion,
    kAnonymous,
    kPlainFirst,
    kPlain,
    kDigestChallenge,
    kDigestRspauth,
    kDigestEnd,
    kPassDssFirst,
    kPassDssChallenge,
    kPassDssEnd,
    kCreate,
    kAccept,
    kDelete,
    kDone
  };

  Output on_capabilities(std::string_view reply);
  Output choose_method(const Capabilities& capabilities);
  Output authenticate(std::string_view method, State next);
  Output on_authenticated(std::string_view reply);
  Output on_challenge(std::string_view reply);
  Output on_rspauth(std::string_view reply);
  Output on_first_line(std::string_view reply);
  Output on_passdss_challenge(std::string_view reply);
  Output on_deleted(std::string_view reply);
  Output create();
  Output send_request();
  // The broker offers mode wireguard and does not grant it now: what else there is will do.
  bool may_do_without_wireguard(const StatusLine& status) const;
  Output on_info(std::string_view reply);
  Output fail(FailureKind kind, std::string message, int status = 0);
  // The failure that a status line other than 200 means.
  Output fail_with(const StatusLine& status);

  ClientProfile profile_;
  Mode asked_;  // of `request`, or wireguard where that is preferred
  State state_ = State::kVersion;
  std::string partial_;  // a reply whose Content-length promised more than came (RUDP)
  std::string expected_rspauth_;
  std::unique_ptr<PassDssClient> passdss_;
  std::string_view method_;
  std::optional<TunnelInfo> tunnel_;
  bool plain_despite_stronger_ = false;
};

}  // namespace sixlink::tsp
