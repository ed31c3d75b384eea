// SPDX-License-Identifier: BSD-3-Clause
// TSP's status codes, RFC 5572 section 5 as extended by deployed servers.
#pragma once

#include <string>
#include <string_view>

namespace sixlink::tsp {

enum Status : int {
  kSuccess = 200,
  kAuthenticationFailed = 300,
  kNoTunnelsLeft = 301,
  kVersionNotSupported = 302,
  kModeNotSupported = 303,
  kServerError = 310,
  kInvalidRequest = 500,
  kInvalidIpv4 = 501,
  kInvalidIpv6 = 502,
  kIpv4InUse = 506,
  kPrefixLengthNotAvailable = 507,
  kDnsDelegationError = 509,
  kPrefixLengthNotSupported = 518,
  kPrefixLengthMissing = 520,
  kRequestInProgress = 521,
  kPrefixNotForAnonymous = 522,
  kServerBusy = 530,
  kRedirection = 1200,
};

// Codes above 1000 send the client to other brokers.
inline bool is_redirect(int code) {
  return code > 1000;
}

// The text that goes with the code on the wire: "Success".
std::string_view wire_text(int code);

// What the code means to the person at the client, and what to do about it. `server_text` is what the server
// sent with it; it is quoted for codes that are not known, with control characters removed.
std::string explain_status(int code, std::string_view server_text);

// Text from the network made fit for a log line or a terminal: printable ASCII and UTF-8 kept, the rest
// replaced, at most `limit` bytes.
std::string printable(std::string_view text, std::size_t limit = 200);

}  // namespace sixlink::tsp
