// SPDX-License-Identifier: BSD-3-Clause
// The broker that the fuzzers attack: one user, every method, a fixed nonce.
#pragma once

#include <stdexcept>
#include <string>

#include "src/tsp/server_session.h"
#include "tests/unit/tsp/recording.h"

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

// The host key of the recorded PASSDSS-3DES-1 sessions, whose private half nobody needs here: what the client
// answers does not depend on the signature.
class RecordedKey final : public tsp::HostKey {
 public:
  RecordedKey() {
    const auto sessions = tsp::test::load_recording("passdss-tcp");
    for (const auto& entry : sessions.at(0)) {
      const auto text = tsp::base64_decode(entry.bytes);
      if (!text || entry.is_from_client) continue;
      blob_ = tsp::WireReader(*text).string(2048).value();
    }
    if (blob_.empty()) throw std::runtime_error("the recording passdss-tcp has no host key");
  }
  const std::string& blob() const override { return blob_; }
  std::optional<tsp::DsaSignature> sign(const tsp::Sha1&) const override {
    return tsp::DsaSignature{"\1", "\2"};
  }

 private:
  std::string blob_;
};

// With the secrets of a recording, so that seeds made from it log in.
inline tsp::ServerPolicy make_policy(const std::string& passdss_recording) {
  static const RecordedKey key;
  tsp::ServerPolicy value{
      {{"V6V4", "V6UDPV4"}, {"ANONYMOUS", "PLAIN", "DIGEST-MD5", "PASSDSS-3DES-1"}}, "peertest", &key, {}};
  value.make_exponent = [secret = tsp::test::recorded_secret(passdss_recording, "server DH private y")] {
    return pki::Secret(secret);
  };
  return value;
}
inline const tsp::ServerPolicy& rudp_policy() {
  static const auto value = make_policy("passdss-rudp");
  return value;
}
inline const tsp::ServerPolicy& tcp_policy() {
  static const auto value = make_policy("passdss-tcp");
  return value;
}

// The nonces of the recorded DIGEST-MD5 sessions, so that seeds made from them log in.
inline constexpr const char* kRudpNonce = "ef0d2c81222a9b6f";
inline constexpr const char* kTcpNonce = "d104cec41460b0f9";

// The fuzzed client's, so that seeds can be made for it.
inline constexpr std::string_view kClientExponent = "a client's exponent";

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
