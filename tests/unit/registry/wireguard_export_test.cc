// SPDX-License-Identifier: BSD-3-Clause
#include "registry/wireguard_export.h"

#include <doctest/doctest.h>
#include <qrencode.h>

#include <sstream>

#include "registry/wireguard_control.h"

using namespace sixlink;
using namespace sixlink::registry;

namespace {

constexpr std::string_view kPrivate = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
constexpr std::string_view kPublic = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

Config configured(const std::string& lines) {
  auto loaded = parse_config("/etc/test.conf", "prefix=2001:db8:42::/48\n" + lines);
  for (const auto& problem : loaded.problems) MESSAGE(problem.message);
  REQUIRE(loaded.config);
  return *std::move(loaded.config);
}

std::string endpoint(const std::string& lines) {
  std::string problem;
  const auto found = export_endpoint(configured(lines), problem);
  return found.empty() ? problem : found;
}

std::string problem_of(const std::string& lines) {
  const auto loaded = parse_config("test.conf", "prefix=2001:db8:42::/48\n" + lines);
  REQUIRE(loaded.problems.size() == 1);
  return loaded.problems[0].key + ": " + loaded.problems[0].message;
}

}  // namespace

TEST_CASE("registry config: WireGuard's keys, and what they demand of each other") {
  const auto plain = configured("");
  CHECK(plain.wireguard.is_served);
  CHECK(plain.wireguard.port == 0);
  CHECK(plain.wireguard.datapath == WireguardDatapath::kAuto);
  CHECK_FALSE(plain.serves_v4());
  CHECK(configured("prefix_v4=203.0.113.0/24\ntunnel_modes=v6udpv4").serves_v4());
  CHECK_FALSE(configured("wireguard=no").wireguard.is_served);
  CHECK(configured("wireguard_port=51820\nwireguard_datapath=kernel").wireguard.datapath ==
        WireguardDatapath::kKernel);
  CHECK(problem_of("wireguard_datapath=kernel").starts_with("wireguard_datapath: kernel needs a UDP port"));
  CHECK(problem_of("wireguard_port=3653").starts_with("wireguard_port: is the port of listen="));
  CHECK(problem_of("wireguard_port=65536").starts_with("wireguard_port: "));
  CHECK(problem_of("wireguard_interface=sixlink0").starts_with("wireguard_interface: must be another"));
  CHECK(problem_of("wireguard_interface=a/b").starts_with("wireguard_interface: "));
  CHECK(problem_of("wireguard_endpoint=two words").starts_with("wireguard_endpoint: "));
  const auto without = parse_config("t", "prefix=2001:db8:42::/48\nwireguard=no\nwireguard_port=51820\n");
  REQUIRE(without.warnings.size() == 1);
  CHECK(without.warnings[0].key == "wireguard_port");
}

TEST_CASE("wireguard export: where peers are to send") {
  CHECK(endpoint("").find("wireguard_endpoint=") != std::string::npos);
  CHECK(endpoint("listen=198.51.100.10:4000") == "198.51.100.10:4000");
  CHECK(endpoint("listen=0.0.0.0 [2001:db8::1]:4000") == "[2001:db8::1]:4000");
  CHECK(endpoint("server_v4=203.0.113.9") == "203.0.113.9:3653");
  CHECK(endpoint("server_v4=203.0.113.9\nwireguard_port=51820") == "203.0.113.9:51820");
  CHECK(endpoint("wireguard_endpoint=broker.example.net") == "broker.example.net:3653");
  CHECK(endpoint("wireguard_endpoint=broker.example.net\nwireguard_port=51820") ==
        "broker.example.net:51820");
  CHECK(endpoint("wireguard_endpoint=broker.example.net:5\nwireguard_port=51820") == "broker.example.net:5");
  CHECK(endpoint("wireguard_endpoint=2001:db8::1") == "[2001:db8::1]:3653");
  CHECK(endpoint("wireguard_endpoint=[2001:db8::1]:7") == "[2001:db8::1]:7");
}

TEST_CASE("wireguard export: the file is what wg-quick takes") {
  auto with = configured("prefix_v4=203.0.113.0/24\ndns_server=2001:db8:53::53\nmtu=1480\n");
  ExportedPeer peer;
  peer.lease.user = "alice";
  peer.lease.address = *net::parse_v6("2001:db8:42::2");
  peer.lease.address_v4 = boost::asio::ip::make_address_v4("203.0.113.2");
  peer.lease.prefix = net::Prefix::parse("2001:db8:42:100::/56");
  peer.server_key = *pki::WireguardKey::parse(kPublic);
  peer.endpoint = "broker.example.net:3653";
  const auto pair = pki::WireguardKeyPair::parse(kPrivate);
  REQUIRE(pair);
  const std::string expected =
      "# The IPv6 tunnel of alice at broker.example.net:3653\n"
      "# 2001:db8:42:100::/56 is routed to it as well.\n"
      "[Interface]\n"
      "PrivateKey = dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n"
      "Address = 2001:db8:42::2/128, 203.0.113.2/32\n"
      "DNS = 2001:db8:53::53\n"
      "MTU = 1420\n"
      "\n"
      "[Peer]\n"
      "PublicKey = hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n"
      "Endpoint = broker.example.net:3653\n"
      "AllowedIPs = ::/0, 203.0.113.0/24\n"
      "PersistentKeepalive = 25\n";
  CHECK(wg_quick_text(with, peer, *pair).reveal() == expected);
  peer.routes_all_v4 = true;
  CHECK(wg_quick_text(with, peer, *pair).reveal().find("AllowedIPs = ::/0, 0.0.0.0/0\n") !=
        std::string::npos);
  peer.lease.address_v4.reset();
  peer.lease.prefix.reset();
  with.dns_server.reset();
  const auto text = wg_quick_text(with, peer, *pair);
  CHECK(text.reveal().find("AllowedIPs = ::/0\n") != std::string::npos);
  CHECK(text.reveal().find("DNS") == std::string::npos);
  CHECK(text.reveal().find("routed") == std::string::npos);
}

TEST_CASE("wireguard export: the QR code that is drawn is the one that was made") {
  const std::string text(400, 'x');
  const auto drawn = qr_text(text);
  REQUIRE(drawn);
  // Read back: two rows a line, dark where a half block is.
  std::vector<std::string> rows;
  std::istringstream lines{std::string(drawn->reveal())};
  for (std::string line; std::getline(lines, line);) {
    const auto end = line.rfind("\033[0m");
    REQUIRE(end != std::string::npos);
    line = line.substr(0, end);
    line = line.substr(line.find('m') + 1);
    std::string upper;
    std::string lower;
    while (!line.empty()) {
      const bool is_blank = line[0] == ' ';
      const auto block = is_blank ? std::string(" ") : line.substr(0, 3);
      upper += block == "\xe2\x96\x88" || block == "\xe2\x96\x80" ? '#' : '.';
      lower += block == "\xe2\x96\x88" || block == "\xe2\x96\x84" ? '#' : '.';
      line.erase(0, block.size());
    }
    rows.push_back(upper);
    rows.push_back(lower);
  }
  QRcode* code = QRcode_encodeString8bit(text.c_str(), 0, QR_ECLEVEL_L);
  REQUIRE(code);
  const auto width = static_cast<std::size_t>(code->width);
  REQUIRE(rows.size() >= width + 4);
  bool is_same = true;
  for (std::size_t y = 0; y < width; ++y) {
    for (std::size_t x = 0; x < width; ++x)
      is_same = is_same && (rows[y + 2][x + 2] == '#') == ((code->data[y * width + x] & 1) != 0);
  }
  CHECK(is_same);
  CHECK(rows[0].find('#') == std::string::npos);
  QRcode_free(code);
  CHECK_FALSE(qr_text(std::string(4000, 'x')));
}

TEST_CASE("wireguard control: requests and answers come back as they were, nonsense does not") {
  const PeerRequest put{PeerRequest::Kind::kPut, "alice", pki::WireguardKey::parse(kPublic)};
  const auto again = parse_peer_request(to_string(put));
  REQUIRE(again);
  CHECK(again->user == "alice");
  CHECK(again->key == put.key);
  CHECK(parse_peer_request("peers")->kind == PeerRequest::Kind::kList);
  CHECK(parse_peer_request("peer delete alice")->kind == PeerRequest::Kind::kDelete);
  for (const char* bad : {"", "peer", "peers x", "peer put alice", "peer put alice key", "peer delete",
                          "peer frob alice", "peer delete a\"b", "peer delete alice x", "status"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_peer_request(bad));
  }
  WireguardPeers peers;
  auto& one = peers[*put.key];
  one.endpoint = "192.0.2.1:4000";
  one.latest_handshake = std::chrono::system_clock::time_point(std::chrono::seconds(1700000000));
  one.bytes_received = 1ull << 40;
  one.bytes_sent = 7;
  const auto read = parse_peers(peers_to_json(peers));
  REQUIRE(read);
  REQUIRE(read->size() == 1);
  CHECK(read->begin()->first == *put.key);
  CHECK(read->begin()->second.endpoint == one.endpoint);
  CHECK(read->begin()->second.latest_handshake == one.latest_handshake);
  CHECK(read->begin()->second.bytes_received == one.bytes_received);
  CHECK(parse_peers(peers_to_json({}))->empty());
  for (const char* bad :
       {"", "[]", "{}", "{\"peers\":1}", "{\"peers\":{\"x\":{}}}", "{\"error\":\"unknown request\"}"})
    CHECK_FALSE(parse_peers(bad));
}
