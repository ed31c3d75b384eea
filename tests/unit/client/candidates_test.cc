// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/candidates.h"

#include <doctest/doctest.h>

using namespace sixlink;
using namespace sixlink::client;

namespace {

const std::vector<const char*> kMixed{"2001:db8::1", "192.0.2.1", "192.0.2.2", "2001:db8::2"};

std::string order(TunnelMode mode, const std::vector<const char*>& addresses,
                  const std::function<void(Config&)>& change = {}) {
  Config config;
  config.tunnel_mode = mode;
  if (change) change(config);
  std::vector<boost::asio::ip::address> parsed;
  for (const char* address : addresses) parsed.push_back(boost::asio::ip::make_address(address));
  std::string text;
  for (const auto& target : candidates(config, parsed, 3653)) {
    CHECK(target.port == 3653);
    text += (text.empty() ? "" : " ") +
            std::string(target.transport == tsp::Transport::kRudp ? "udp/" : "tcp/") +
            target.address.to_string();
    if (target.source) text += "@" + target.source->to_string();
  }
  return text;
}

}  // namespace

TEST_CASE("candidates: RUDP before TCP over IPv4, then over IPv6, each in the resolver's order") {
  const char* expected =
      "udp/192.0.2.1 udp/192.0.2.2 tcp/192.0.2.1 tcp/192.0.2.2 "
      "udp/2001:db8::1 udp/2001:db8::2 tcp/2001:db8::1 tcp/2001:db8::2";
  CHECK(order(TunnelMode::kV6AnyV4, kMixed) == expected);
  CHECK(order(TunnelMode::kV6V4, kMixed) == expected);
}

TEST_CASE("candidates: v6udpv4 goes by RUDP only") {
  CHECK(order(TunnelMode::kV6UdpV4, kMixed) == "udp/192.0.2.1 udp/192.0.2.2 udp/2001:db8::1 udp/2001:db8::2");
}

TEST_CASE("candidates: wireguard goes by RUDP only, any by whatever there is") {
  CHECK(order(TunnelMode::kWireguard, kMixed) ==
        "udp/192.0.2.1 udp/192.0.2.2 udp/2001:db8::1 udp/2001:db8::2");
  CHECK(order(TunnelMode::kAnyMode, {"192.0.2.1"}) == "udp/192.0.2.1 tcp/192.0.2.1");
}

TEST_CASE("candidates: v4v6 goes over IPv6 only") {
  CHECK(order(TunnelMode::kV4V6, kMixed) ==
        "udp/2001:db8::1 udp/2001:db8::2 tcp/2001:db8::1 tcp/2001:db8::2");
  CHECK(order(TunnelMode::kV4V6, {"192.0.2.1"}).empty());
}

TEST_CASE("candidates: one family alone, and none") {
  CHECK(order(TunnelMode::kV6AnyV4, {"192.0.2.1"}) == "udp/192.0.2.1 tcp/192.0.2.1");
  CHECK(order(TunnelMode::kV6AnyV4, {"2001:db8::1"}) == "udp/2001:db8::1 tcp/2001:db8::1");
  CHECK(order(TunnelMode::kV6AnyV4, {}).empty());
}

TEST_CASE("candidates: a configured source is bound for its family") {
  const auto both = [](Config& config) {
    config.client_v4 = "198.51.100.7";
    config.client_v6 = "2001:db8:7::7";
  };
  CHECK(order(TunnelMode::kV6UdpV4, kMixed, both) ==
        "udp/192.0.2.1@198.51.100.7 udp/192.0.2.2@198.51.100.7 udp/2001:db8::1@2001:db8:7::7 "
        "udp/2001:db8::2@2001:db8:7::7");
  CHECK(order(TunnelMode::kV6UdpV4, {"192.0.2.1", "2001:db8::1"}, [](Config& config) {
          config.client_v4 = "198.51.100.7";
        }) == "udp/192.0.2.1@198.51.100.7 udp/2001:db8::1");
}

TEST_CASE(
    "candidates: another address is tried where it may help, and the most telling failure is reported") {
  using tsp::FailureKind;
  for (const auto kind : {FailureKind::kNoAnswer, FailureKind::kSocket, FailureKind::kClientAddress,
                          FailureKind::kBusy, FailureKind::kBadReply})
    CHECK(is_worth_another_address(kind));
  for (const auto kind :
       {FailureKind::kVersion, FailureKind::kStatus, FailureKind::kRedirect, FailureKind::kModeNotOffered,
        FailureKind::kAuthentication, FailureKind::kNoCommonMethod, FailureKind::kBadParameters}) {
    CHECK_FALSE(is_worth_another_address(kind));
    CHECK(significance(kind) > significance(FailureKind::kBusy));
  }
  CHECK(significance(FailureKind::kAuthentication) > significance(FailureKind::kRedirect));
  CHECK(significance(FailureKind::kBusy) > significance(FailureKind::kBadReply));
  CHECK(significance(FailureKind::kBadReply) > significance(FailureKind::kClientAddress));
  CHECK(significance(FailureKind::kClientAddress) > significance(FailureKind::kSocket));
  CHECK(significance(FailureKind::kSocket) > significance(FailureKind::kNoAnswer));
}
