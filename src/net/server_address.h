// SPDX-License-Identifier: BSD-3-Clause
// The text by which a configuration names a broker: name, A.B.C.D or [v6], each with an optional :port.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sixlink::net {

// IANA's port for TSP, RFC 5572 section 11.
inline constexpr std::uint16_t kTspPort = 3653;

struct ServerAddress {
  std::string host;  // a name or a literal without brackets
  std::uint16_t port = kTspPort;
  std::string text;  // as the configuration has it: DIGEST-MD5 puts it in digest-uri

  // Accepts also a bare v6 literal (two colons or more).
  // nullopt: no host, bad characters, or port not 1 to 65535.
  static std::optional<ServerAddress> parse(std::string_view text);

  bool is_literal() const;
};

// True for a name that may be looked up in DNS: RFC 1123
// labels, also with underscores, 253 characters at most.
bool is_host_name(std::string_view text);

}  // namespace sixlink::net
