// SPDX-License-Identifier: BSD-3-Clause
// What stands behind the broker's sessions, for tests: one user and a granter that answers when the test says
// so.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "registry/broker/granter.h"
#include "src/tsp/server_session.h"

namespace sixlink::test {

class OneUser final : public tsp::Credentials {
 public:
  static constexpr const char* kName = "alice";
  static constexpr const char* kPassword = "s3cret";
  static constexpr const char* kRealm = "sixlink";
  std::optional<tsp::Md5> find(std::string_view user) override {
    if (user != kName) return std::nullopt;
    return tsp::digest_ha1(kName, kRealm, kPassword);
  }
};

inline tsp::ServerPolicy broker_policy() {
  return {{{"V6V4", "V6UDPV4", "V6ANYV4"}, {"ANONYMOUS", "PLAIN", "DIGEST-MD5"}}, OneUser::kRealm};
}

inline tsp::TunnelInfo granted_tunnel(unsigned host) {
  tsp::TunnelInfo info;
  info.server_v4 = boost::asio::ip::make_address_v4("198.51.100.1");
  info.client_v4 = boost::asio::ip::make_address_v4("192.0.2.1");
  info.server_v6 = boost::asio::ip::make_address_v6("2001:db8:42::1");
  auto bytes = info.server_v6.to_bytes();
  bytes[14] = static_cast<std::uint8_t>(host >> 8);
  bytes[15] = static_cast<std::uint8_t>(host);
  info.client_v6 = boost::asio::ip::address_v6(bytes);
  info.dns_servers = {info.server_v6};
  return info;
}

struct FakeGranter {
  struct Asked {
    tsp::CreateRequest request;
    registry::Requester requester;
    registry::Granter::Done done;
  };
  std::vector<Asked> asked;
  bool answers_at_once = true;
  std::map<std::string, int> rejected;  // by reason

  void grant(const tsp::CreateRequest& request, const registry::Requester& requester,
             registry::Granter::Done done) {
    asked.push_back({request, requester, std::move(done)});
    if (answers_at_once) asked.back().done(granted_tunnel(static_cast<unsigned>(asked.size()) + 1));
  }
};

inline std::string create_message() {
  tsp::CreateRequest request;
  request.client_address = boost::asio::ip::make_address("192.168.1.2");
  return tsp::with_content_length(request.to_xml());
}

inline std::string authenticate(const char* method) {
  return "AUTHENTICATE " + std::string(method) + "\r\n" + std::string(1, '\0');
}

inline std::string digest_answer(const std::string& challenge_base64,
                                 const char* password = OneUser::kPassword) {
  const auto challenge = tsp::DigestChallenge::parse(tsp::base64_decode(challenge_base64).value()).value();
  return tsp::base64_encode(
             tsp::answer_challenge(challenge, OneUser::kName, password, "tsp/broker", "12345").to_string()) +
         "\r\n";
}

}  // namespace sixlink::test
