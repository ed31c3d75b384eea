// SPDX-License-Identifier: BSD-3-Clause
// The broker that the fuzzers attack: one user, every method, a fixed nonce.
#pragma once

#include <string>

#include "src/tsp/server_session.h"

namespace sixlink::fuzz {

class OneUser final : public tsp::Credentials {
 public:
  std::optional<tsp::Md5> find(std::string_view user) override {
    if (user != "alice") return std::nullopt;
    return ha1_;
  }

 private:
  tsp::Md5 ha1_ = tsp::digest_ha1("alice", "peertest", "s3cret");
};

inline const tsp::ServerPolicy& policy() {
  static const tsp::ServerPolicy value{{{"V6V4", "V6UDPV4"}, {"ANONYMOUS", "PLAIN", "DIGEST-MD5"}},
                                       "peertest"};
  return value;
}

// The nonces of the recorded DIGEST-MD5 sessions, so that seeds made from them log in.
inline constexpr const char* kRudpNonce = "ef0d2c81222a9b6f";
inline constexpr const char* kTcpNonce = "d104cec41460b0f9";

inline tsp::TunnelInfo granted_tunnel(tsp::Mode mode) {
  tsp::TunnelInfo tunnel;
  tunnel.mode = mode;
  tunnel.lifetime = std::chrono::seconds(604800);
  tunnel.server_v4 = boost::asio::ip::make_address_v4("192.0.2.1");
  tunnel.server_v6 = *net::parse_v6("2001:db8::1");
  tunnel.client_v4 = boost::asio::ip::make_address_v4("192.0.2.2");
  tunnel.client_v6 = *net::parse_v6("2001:db8::2");
  tunnel.dns_servers = {tunnel.server_v6};
  return tunnel;
}

}  // namespace sixlink::fuzz
