// SPDX-License-Identifier: BSD-3-Clause
// What the recorded sessions that end with a tunnel were configured with and what they negotiated.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "src/tsp/client_session.h"
#include "src/tsp/digest_md5.h"
#include "src/tsp/passdss.h"
#include "src/tsp/rudp.h"
#include "src/tsp/server_session.h"
#include "src/tsp/status.h"
#include "tests/unit/tsp/recording.h"

namespace sixlink::tsp::test {

inline const pki::Secret& recorded_password() {
  static const pki::Secret password("s3cret");
  return password;
}

struct RecordedTunnel {
  std::string name;
  std::size_t session = 0;  // of the recording
  ClientProfile profile;
  std::string nonce;  // DIGEST-MD5
  TunnelInfo tunnel;

  RecordedSession entries() const { return negotiation_of(load_recording(name).at(session)); }
  // What one side sent, RUDP headers included.
  std::vector<std::string> sent_by(bool client) const {
    std::vector<std::string> messages;
    for (const auto& entry : entries()) {
      if (entry.is_from_client == client) messages.push_back(entry.bytes);
    }
    return messages;
  }
};

inline RecordedTunnel recorded_tunnel(std::string name, Transport transport, ClientAuth auth, Mode asked,
                                      Mode granted) {
  RecordedTunnel recorded;
  recorded.name = std::move(name);
  recorded.profile.transport = transport;
  recorded.profile.auth = auth;
  recorded.profile.server_text = "10.99.0.1";
  if (auth != ClientAuth::kAnonymous) {
    recorded.profile.user = "alice";
    recorded.profile.password = &recorded_password();
  }
  recorded.profile.request.mode = asked;
  recorded.profile.request.client_address = boost::asio::ip::make_address("10.99.0.2");
  recorded.profile.request.keepalive_interval = std::chrono::seconds(30);
  auto& tunnel = recorded.tunnel;
  tunnel.mode = granted;
  tunnel.lifetime = std::chrono::seconds(604800);
  tunnel.server_v4 = boost::asio::ip::make_address_v4("10.99.0.1");
  tunnel.server_v6 = *net::parse_v6("2001:db8:f:f::1");
  tunnel.client_v4 = boost::asio::ip::make_address_v4("10.99.0.2");
  tunnel.client_v6 = *net::parse_v6("2001:db8:f:f::2");
  tunnel.dns_servers = {*net::parse_v6("2001:db8:53::53")};
  tunnel.keepalive_interval = std::chrono::seconds(30);
  tunnel.keepalive_address = tunnel.server_v6;
  return recorded;
}

inline const std::vector<RecordedTunnel>& recorded_tunnels() {
  static const std::vector<RecordedTunnel> all = [] {
    using enum Transport;
    std::vector<RecordedTunnel> list;
    list.push_back(
        recorded_tunnel("anonymous-rudp", kRudp, ClientAuth::kAnonymous, Mode::kV6AnyV4, Mode::kV6UdpV4));
    list.back().tunnel.keepalive_interval = std::chrono::seconds(1);
    list.push_back(
        recorded_tunnel("anonymous-tcp", kTcp, ClientAuth::kAnonymous, Mode::kV6AnyV4, Mode::kV6V4));
    list.push_back(
        recorded_tunnel("digest-md5-rudp", kRudp, ClientAuth::kDigestMd5, Mode::kV6UdpV4, Mode::kV6UdpV4));
    list.back().nonce = "ef0d2c81222a9b6f";
    list.back().profile.cnonce = "1795323005";
    list.push_back(recorded_tunnel("digest-md5-tcp", kTcp, ClientAuth::kDigestMd5, Mode::kV6V4, Mode::kV6V4));
    list.back().nonce = "d104cec41460b0f9";
    list.back().profile.cnonce = "1795323010";
    list.push_back(recorded_tunnel("plain-rudp", kRudp, ClientAuth::kPlain, Mode::kV6UdpV4, Mode::kV6UdpV4));
    list.push_back(recorded_tunnel("plain-tcp", kTcp, ClientAuth::kPlain, Mode::kV6V4, Mode::kV6V4));
    list.push_back(
        recorded_tunnel("proxy-v6v4-rudp", kRudp, ClientAuth::kAnonymous, Mode::kV6V4, Mode::kV6V4));
    list.back().profile.request.is_proxy = true;
    list.back().profile.request.keepalive_interval.reset();
    list.back().profile.request.client_address = boost::asio::ip::make_address("198.51.100.7");
    list.back().tunnel.client_v4 = boost::asio::ip::make_address_v4("198.51.100.7");
    list.push_back(
        recorded_tunnel("router-56-rudp", kRudp, ClientAuth::kAnonymous, Mode::kV6UdpV4, Mode::kV6UdpV4));
    list.back().profile.request.is_router = true;
    list.back().profile.request.prefix_length = 56;
    list.back().profile.request.dns_servers = {"ns1.example.net", "ns2.example.net"};
    list.back().tunnel.prefix = net::Prefix::parse("2001:db8:aa:bb00::/56");
    // To the first broker of the redirection, after its ECHO.
    list.push_back(
        recorded_tunnel("redirect-rudp", kRudp, ClientAuth::kAnonymous, Mode::kV6UdpV4, Mode::kV6UdpV4));
    list.back().session = 2;
    list.back().profile.server_text = "10.99.0.11";
    list.back().tunnel.server_v4 = boost::asio::ip::make_address_v4("10.99.0.11");
    return list;
  }();
  return all;
}

inline ClientProfile profile_of(std::string_view recording) {
  for (const auto& recorded : recorded_tunnels()) {
    if (recorded.name == recording) return recorded.profile;
  }
  throw std::runtime_error("no such recording");
}

// What a broker answers that grants it.
inline std::string info_reply(const TunnelInfo& tunnel = recorded_tunnels().front().tunnel) {
  return with_content_length(status_line(200) + tunnel.to_xml());
}

// The recorded PASSDSS-3DES-1 sessions. The client's secrets are not known, so only the server's side can be
// replayed.
inline const std::vector<RecordedTunnel>& recorded_passdss_tunnels() {
  static const std::vector<RecordedTunnel> all = [] {
    std::vector<RecordedTunnel> list;
    list.push_back(recorded_tunnel("passdss-rudp", Transport::kRudp, ClientAuth::kPassDss3Des1,
                                   Mode::kV6UdpV4, Mode::kV6UdpV4));
    list.push_back(
        recorded_tunnel("passdss-tcp", Transport::kTcp, ClientAuth::kPassDss3Des1, Mode::kV6V4, Mode::kV6V4));
    return list;
  }();
  return all;
}

inline std::vector<RecordedTunnel> all_recorded_tunnels() {
  auto all = recorded_tunnels();
  all.insert(all.end(), recorded_passdss_tunnels().begin(), recorded_passdss_tunnels().end());
  return all;
}

// The recorded broker's host key. It signs what the recorded broker signed, with the recorded signature.
class RecordedHostKey final : public HostKey {
 public:
  explicit RecordedHostKey(const RecordedTunnel& recorded) {
    const bool is_rudp = recorded.profile.transport == Transport::kRudp;
    for (const auto& message : recorded.sent_by(false)) {
      const auto text = base64_decode(std::string_view(message).substr(is_rudp ? RudpHeader::kSize : 0));
      if (!text) continue;
      WireReader reader(*text);
      blob_ = reader.string(2048).value();
      (void)reader.mpint(128);  // Y
      (void)reader.uint32();    // ssecmask, sbuflen
      WireReader signature(reader.string(128).value());
      (void)signature.string(7);  // ssh-dss
      signature_.r = signature.mpint(32).value();
      signature_.s = signature.mpint(32).value();
    }
  }
  const std::string& blob() const override { return blob_; }
  std::optional<DsaSignature> sign(const Sha1& digest) const override {
    CHECK(is_signed_by(blob_, digest, signature_));
    return signature_;
  }

 private:
  std::string blob_;
  DsaSignature signature_;
};

inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The users of the recorded servers; counts how often it was asked.
class RecordedUsers final : public Credentials {
 public:
  explicit RecordedUsers(std::string realm = "peertest") : realm_(std::move(realm)) {}
  std::optional<Md5> find(std::string_view user) override {
    ++lookups;
    if (user != "alice") return std::nullopt;
    return digest_ha1("alice", realm_, "s3cret");
  }
  unsigned lookups = 0;

 private:
  std::string realm_;
};

inline ServerPolicy recorded_policy() {
  ServerPolicy policy;
  policy.capabilities.tunnels = {"V6V4", "V6UDPV4"};
  policy.capabilities.auths = {"ANONYMOUS", "PLAIN", "DIGEST-MD5"};
  policy.realm = "peertest";
  return policy;
}

// What the recorded server of `recorded` offered, with its secrets.
inline ServerPolicy recorded_policy(const RecordedTunnel& recorded) {
  auto policy = recorded_policy();
  if (recorded.profile.auth != ClientAuth::kPassDss3Des1) return policy;
  static std::map<std::string, RecordedHostKey> keys;
  policy.host_key = &keys.try_emplace(recorded.name, recorded).first->second;
  const bool is_rudp = recorded.profile.transport == Transport::kRudp;
  policy.capabilities =
      Capabilities::parse(recorded.sent_by(false).front().substr(is_rudp ? RudpHeader::kSize : 0)).value();
  policy.make_exponent = [name = recorded.name] {
    return pki::Secret(recorded_secret(name, "server DH private y"));
  };
  return policy;
}

// A broker's side of one RUDP session, that grants `tunnel` at once.
class RudpBroker {
 public:
  RudpBroker(const ServerPolicy& policy, Credentials& users, std::string nonce, TunnelInfo tunnel)
      : session(policy, users, Transport::kRudp, std::move(nonce)), tunnel_(std::move(tunnel)) {}

  // The datagrams that answer.
  std::vector<std::string> input(std::string_view datagram) {
    const auto message = parse_rudp(bytes_of(datagram));
    if (!message) return {};
    switch (peer_.classify(message->header.sequence)) {
      case RudpServerPeer::Disposition::kNew:
        break;
      case RudpServerPeer::Disposition::kRepeated:
        return {text_of(make_rudp(message->header, peer_.last_reply()))};
      case RudpServerPeer::Disposition::kPending:
      case RudpServerPeer::Disposition::kStale:
        return {};
    }
    peer_.begin(message->header.sequence);
    auto output = session.input(message->text);
    last_rejection = output.rejection;
    if (output.create) {
      requests.push_back(*output.create);
      output = session.granted(tunnel_);
    }
    is_closing = is_closing || output.is_closing;
    peer_.answered(output.reply);
    return {text_of(make_rudp(message->header, output.reply))};
  }

  ServerSession session;
  std::vector<CreateRequest> requests;
  std::string last_rejection;
  bool is_closing = false;

 private:
  TunnelInfo tunnel_;
  RudpServerPeer peer_;
};

// A broker's side of one TCP connection, that grants `tunnel` at once.
class TcpBroker {
 public:
  TcpBroker(const ServerPolicy& policy, Credentials& users, std::string nonce, TunnelInfo tunnel)
      : session(policy, users, Transport::kTcp, std::move(nonce)), tunnel_(std::move(tunnel)) {}

  // The segments that answer, each to be sent by itself.
  std::vector<std::string> input(std::string_view bytes) {
    std::vector<std::string> segments;
    if (is_closed || !framer_.append(bytes)) {
      is_closed = true;
      return segments;
    }
    for (;;) {
      framer_.expect(session.expected());
      const auto message = framer_.next();
      if (!message) break;
      auto output = session.input(*message);
      last_rejection = output.rejection;
      if (output.create) {
        requests.push_back(*output.create);
        output = session.granted(tunnel_);
      }
      if (!output.reply.empty()) segments.push_back(output.reply);
      if (!output.delayed_reply.empty()) segments.push_back(output.delayed_reply);
      if (output.is_closing) {
        is_closed = true;
        break;
      }
    }
    return segments;
  }

  ServerSession session;
  std::vector<CreateRequest> requests;
  std::string last_rejection;
  bool is_closed = false;

 private:
  TunnelInfo tunnel_;
  Framer framer_{Framer::Side::kServer};
};

inline std::string join(const std::vector<std::string>& parts) {
  std::string whole;
  for (const auto& part : parts) whole += part;
  return whole;
}

}  // namespace sixlink::tsp::test
