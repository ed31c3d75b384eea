// SPDX-License-Identifier: BSD-3-Clause
// TSP's status codes.
#include "src/tsp/status.h"

#include <algorithm>
#include <array>

namespace sixlink::tsp {
namespace {

struct Row {
  int code;
  std::string_view wire;
  std::string_view meaning;
};

constexpr std::array<Row, 18> kRows{{
    {kSuccess, "Success", "success"},
    {kAuthenticationFailed, "Authentication failed",
     "authentication failed: the broker does not accept this user and password (check userid, passwd and "
     "auth_method)"},
    {kNoTunnelsLeft, "No tunnels available", "the broker has no tunnel left; it may have one later"},
    {kVersionNotSupported, "Unsupported TSP version", "the broker does not speak this version of TSP"},
    {kModeNotSupported, "Unsupported tunnel mode",
     "the broker does not offer this kind of tunnel over this transport: check tunnel_mode"},
    {kServerError, "Server side error", "the broker has a problem of its own; nothing is wrong here"},
    {kInvalidRequest, "Invalid request format or specified length is invalid",
     "the broker did not understand the request"},
    {kInvalidIpv4, "Invalid IPv4 address",
     "the broker refused this machine's IPv4 address: check client_v4, or use tunnel_mode=v6anyv4 behind "
     "NAT"},
    {kInvalidIpv6, "Invalid IPv6 address", "the broker refused this machine's IPv6 address: check client_v6"},
    {kIpv4InUse, "IPv4 address already used for existing tunnel",
     "the broker has a tunnel for this IPv4 address already; it ends by itself when no longer used"},
    {kPrefixLengthNotAvailable, "Requested prefix length cannot be assigned",
     "the broker has no prefix of the length asked for: try another prefixlen"},
    {kDnsDelegationError, "DNS delegation setup error",
     "the broker could not delegate reverse DNS to the servers of dns_server"},
    {kPrefixLengthNotSupported, "Protocol error: prefix length not supported",
     "the broker does not give prefixes of the length asked for: try another prefixlen"},
    {kPrefixLengthMissing, "Missing prefix length",
     "the broker wants to know a prefix length: set prefixlen"},
    {kRequestInProgress, "Request already in progress",
     "the broker is still working on an earlier request of this client"},
    {kPrefixNotForAnonymous, "Prefix not available to anonymous users",
     "the broker gives no prefix to anonymous users: log in with userid and passwd, or set host_type=host"},
    {kServerBusy, "Server too busy", "the broker is too busy now"},
    {kRedirection, "Redirection", "the broker sends its clients to another broker"},
}};

const Row* find(int code) {
  const auto row = std::find_if(kRows.begin(), kRows.end(), [code](const Row& r) { return r.code == code; });
  return row == kRows.end() ? nullptr : &*row;
}

// The size of the character that `text` begins with: 0 when it is a control character (C0, DEL, C1) or no
// UTF-8 (RFC 3629 section 4).
std::size_t character_size(std::string_view text) {
  const auto byte = [text](std::size_t at) {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : static_cast<unsigned char>(0);
  };
  const auto is_tail = [&](std::size_t at, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte(at) >= low && byte(at) <= high;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7F ? 1 : 0;
  if (lead >= 0xC2 && lead <= 0xDF) return is_tail(1, lead == 0xC2 ? 0xA0 : 0x80) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF)
    return is_tail(1, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF) && is_tail(2) ? 3 : 0;
  if (lead >= 0xF0 && lead <= 0xF4)
    return is_tail(1, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF) && is_tail(2) && is_tail(3) ? 4
                                                                                                          : 0;
  return 0;
}

}  // namespace

std::string_view wire_text(int code) {
  const Row* row = find(code);
  return row ? row->wire : "Unknown status";
}

std::string explain_status(int code, std::string_view server_text) {
  const std::string number = " (TSP status " + std::to_string(code);
  if (const Row* row = find(code)) return std::string(row->meaning) + number + ")";
  return "the broker answered with a status that is not known here" + number + ": \"" +
         printable(server_text) + "\")";
}

std::string printable(std::string_view text, std::size_t limit) {
  while (!text.empty() && static_cast<unsigned char>(text.back()) < 0x20) text.remove_suffix(1);  // line ends
  std::string clean;
  clean.reserve(std::min(text.size(), limit));
  while (!text.empty() && clean.size() < limit) {
    const auto size = character_size(text);
    if (clean.size() + std::max<std::size_t>(size, 1) > limit) break;
    if (size == 0) {
      clean += '?';
    } else {
      clean += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return clean;
}

}  // namespace sixlink::tsp
