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
     "authentication failed: the broker does not accept this user and password (check userid, passwd and auth_method)"},
    {kNoTunnelsLeft, "No tunnels available", "the broker has no tunnel left; it may have one later"},
    {kVersionNotSupported, "Unsupported TSP version", "the broker does not speak this version of TSP"},
    {kModeNotSupported, "Unsupported tunnel mode",
     "the broker does not offer this kind of tunnel over this transport: check tunnel_mode"},
    {kServerError, "Server side error", "the broker has a problem of its own; nothing is wrong here"},
    {kInvalidRequest, "Invalid request format or specified length is invalid",
     "the broker did not understand the request"},
    {kInvalidIpv4, "Invalid IPv4 address",
     "the broker refused this machine's IPv4 address: check client_v4, or use tunnel_mode=v6anyv4 behind NAT"},
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

}  // namespace

std::string_view wire_text(int code) {
  const Row* row = find(code);
  return row ? row->wire : "Unknown status";
}

std::string explain_status(int code, std::string_view server_text) {
  const std::string number = " (TSP status " + std::to_string(code);
  if (const Row* row = find(code)) return std::string(row->meaning) + number + ")";
  return "the broker answered with a status that is not known here" + number + ": \"" + printable(server_text) + "\")";
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string clean;
  clean.reserve(std::min(text.size(), limit));
  for (const char c : text.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    clean += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  while (!clean.empty() && (clean.back() == '?' && (text.size() > limit || clean.size() == text.size())) &&
         static_cast<unsigned char>(text[clean.size() - 1]) < 0x20) {
    clean.pop_back();  // line ends
  }
  return clean;
}

}  // namespace sixlink::tsp
