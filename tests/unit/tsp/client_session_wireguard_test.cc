// SPDX-License-Identifier: BSD-3-Clause
// What a client asks for and takes where the broker may grant mode wireguard.
#include <doctest/doctest.h>

#include "src/tsp/client_session.h"
#include "src/tsp/status.h"
#include "tests/unit/tsp/recorded_tunnel.h"

using namespace sixlink::tsp;
using namespace sixlink::tsp::test;

namespace {

constexpr std::string_view kWireguardKey = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

ClientProfile preferring_wireguard(Transport transport = Transport::kRudp) {
  auto profile = profile_of("anonymous-rudp");
  profile.request.mode = Mode::kV6AnyV4;
  profile.request.wireguard_key = sixlink::pki::WireguardKey::parse(kWireguardKey);
  profile.prefers_wireguard = true;
  profile.transport = transport;
  return profile;
}

// What is asked of a broker with those capabilities.
std::string asked_of(ClientSession& session, std::string_view tunnels) {
  session.start();
  const auto output = session.input("CAPABILITY " + std::string(tunnels) + " AUTH=ANONYMOUS \r\n");
  if (output.failure) return output.failure->message;
  return session.input("200 Success\r\n").sends.at(0);
}

TunnelInfo wireguard_tunnel() {
  auto tunnel = recorded_tunnels().front().tunnel;
  tunnel.mode = Mode::kWireguard;
  tunnel.client_v4 = tunnel.server_v4 = {};
  tunnel.wireguard.emplace().key = *sixlink::pki::WireguardKey::parse(kWireguardKey);
  return tunnel;
}

}  // namespace

TEST_CASE("client: WireGuard is preferred where the broker offers it, and where UDP passes") {
  ClientSession offered(preferring_wireguard());
  const auto request = asked_of(offered, "TUNNEL=V6V4 TUNNEL=WIREGUARD");
  CHECK(request.find("type=\"wireguard\" proxy") != std::string::npos);
  CHECK(request.find(kWireguardKey) != std::string::npos);
  const auto done = offered.input(info_reply(wireguard_tunnel()));
  CHECK(done.sends.size() == 1);
  CHECK(offered.input("").tunnel == wireguard_tunnel());

  ClientSession only(preferring_wireguard());
  CHECK(asked_of(only, "TUNNEL=WIREGUARD").find("type=\"wireguard\"") != std::string::npos);
  for (auto& [profile, tunnels] : std::vector<std::pair<ClientProfile, std::string>>{
           {preferring_wireguard(), "TUNNEL=V6V4"},
           {preferring_wireguard(Transport::kTcp), "TUNNEL=V6V4 TUNNEL=WIREGUARD"}}) {
    ClientSession other(std::move(profile));
    const auto asked = asked_of(other, tunnels);
    CHECK(asked.find("type=\"v6anyv4\"") != std::string::npos);
    CHECK(asked.find("<key") == std::string::npos);
  }
}

TEST_CASE("client: a broker that does not grant WireGuard after all is asked for what else there is") {
  ClientSession session(preferring_wireguard());
  asked_of(session, "TUNNEL=V6V4 TUNNEL=WIREGUARD");
  const auto again = session.input(with_content_length(status_line(303)));
  REQUIRE(again.sends.size() == 1);
  CHECK(again.sends[0].find("type=\"v6anyv4\"") != std::string::npos);
  CHECK(again.sends[0].find("<key") == std::string::npos);
  // Not for ever, and not of what was not asked for.
  const auto failed = session.input(with_content_length(status_line(303)));
  REQUIRE(failed.failure);
  CHECK(failed.failure->kind == FailureKind::kModeNotOffered);

  ClientSession other(preferring_wireguard());
  asked_of(other, "TUNNEL=V6V4");
  CHECK(other.input(info_reply(wireguard_tunnel())).failure->kind == FailureKind::kBadParameters);
}

TEST_CASE("client: WireGuard alone is asked for over either transport, and nothing else is taken") {
  auto profile = preferring_wireguard(Transport::kTcp);
  profile.prefers_wireguard = false;
  profile.request.mode = Mode::kWireguard;
  ClientSession session(profile);
  CHECK(asked_of(session, "TUNNEL=WIREGUARD").find("type=\"wireguard\"") != std::string::npos);
  CHECK(session.input(info_reply()).failure->kind == FailureKind::kBadParameters);
  ClientSession missing(profile);
  CHECK(asked_of(missing, "TUNNEL=V6V4").find("offers no wireguard tunnels") != std::string::npos);
}
