// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/mesh_config.h"

#include <doctest/doctest.h>

#include "src/client/config.h"
#include "src/client/options.h"

using namespace sixlink;
using namespace sixlink::client;

namespace {

constexpr const char* kNode = "registry=https://registry.example.net\n";

Config loaded(const std::string& text) {
  auto result = parse_config("mesh.conf", text);
  for (const auto& problem : result.problems) FAIL_CHECK(config::to_string("mesh.conf", problem));
  REQUIRE(result.config);
  return *std::move(result.config);
}

// The key that a problem is about; only one is expected.
std::string refused(const std::string& text) {
  const auto result = parse_config("mesh.conf", text);
  CHECK_FALSE(result.config);
  REQUIRE(result.problems.size() == 1);
  return result.problems[0].key;
}

}  // namespace

TEST_CASE("mesh_config: without a registry this is no node") {
  const auto config = loaded("server=a.example\n");
  CHECK_FALSE(config.mesh.is_node());
  CHECK(config.mesh.port == 3653);
  CHECK(config.mesh.transports == std::vector{mesh::Transport::kUdp, mesh::Transport::kTcp});
  CHECK(config.mesh.main_interface == "lo");
}

TEST_CASE("mesh_config: with a registry no broker is needed, nor wanted") {
  const auto config = loaded(std::string(kNode) + "state_dir=/var/lib/x\n");
  CHECK(config.mesh.is_node());
  CHECK(config.mesh.directory == "/var/lib/x/mesh");
  CHECK(config.mesh.key_path() == "/var/lib/x/mesh/node.key");
  CHECK(refused(std::string(kNode) + "server=a.example\n") == "server");
  // What only a tunnel client must have is not asked of a node.
  CHECK(loaded(std::string(kNode) + "host_type=router\n").mesh.is_node());
}

TEST_CASE("mesh_config: URLs of registries") {
  for (const auto& [text, expected] :
       {std::pair{"https://registry.example.net", "https://registry.example.net"},
        std::pair{"HTTPS://Registry.Example.net:8443/", "https://registry.example.net:8443"},
        std::pair{"https://192.0.2.1", "https://192.0.2.1"},
        std::pair{"https://[2001:db8::1]:443", "https://[2001:db8::1]:443"}}) {
    CAPTURE(text);
    CHECK(parse_registry_url(text) == expected);
  }
  for (const auto* text : {"", "registry.example.net", "http://registry.example.net", "https://", "https:///",
                           "https://a/b", "https://a b", "https://2001:db8::1", "https://user@a",
                           "https://a:0", "https://a:65536", "https://[fe80::1%25eth0]", "https://a?x",
                           "https://a#f", "https://a\r\nHost: b", "https://192.0.2.300"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_registry_url(text));
  }
}

TEST_CASE("mesh_config: values are what they say") {
  const auto config = loaded(std::string(kNode) +
                             "neighbour=2001:db8:42:7::/64, 2001:db8:42:9::1\n"
                             "endpoint=203.0.113.7 [2001:db8::7]:443/tcp\n"
                             "remote_gateway=192.0.2.1 192.0.2.2\n"
                             "disable_proto=udp6 tcp\nlink_transport=tcp,udp\nlink_port=4000\n"
                             "link_tcp_port=443 3653\nlink_mtu=1300\ngateway=yes\nmain_interface=br0\n"
                             "lan_interface=eth0 eth1\nport_mapping=no\nclient_count=3\ntunnel_refresh=60\n"
                             "most_served=7\nbabeld=/opt/babeld\nup=echo $sixlink_ip\ndaemon=sleep 9\n");
  const auto& mesh = config.mesh;
  REQUIRE(mesh.neighbours.size() == 2);
  CHECK(mesh.neighbours[1].to_string() == "2001:db8:42:9::/64");
  REQUIRE(mesh.endpoints.size() == 2);
  CHECK(mesh.endpoints[0].port == 3653);
  CHECK(mesh.endpoints[0].transport == mesh::Transport::kUdp);
  CHECK(mesh.endpoints[1].address.to_string() == "2001:db8::7");
  CHECK(mesh.endpoints[1].port == 443);
  CHECK(mesh.endpoints[1].transport == mesh::Transport::kTcp);
  CHECK(mesh.remote_gateways.size() == 2);
  CHECK(mesh.protocols == MeshProtocols{true, false, false, false});
  CHECK(mesh.protocols.has(mesh::Transport::kUdp));
  CHECK_FALSE(mesh.protocols.has(mesh::Transport::kUdp, false));
  CHECK_FALSE(mesh.protocols.has(mesh::Transport::kTcp));
  CHECK(mesh.transports == std::vector{mesh::Transport::kTcp, mesh::Transport::kUdp});
  CHECK(mesh.port == 4000);
  CHECK(mesh.tcp_ports == std::vector<std::uint16_t>{443, 3653});
  CHECK(mesh.mtu == 1300);
  CHECK(mesh.is_gateway);
  CHECK(mesh.main_interface == "br0");
  CHECK(mesh.lan_interfaces == std::vector<std::string>{"eth0", "eth1"});
  CHECK_FALSE(mesh.port_mapping);
  CHECK(mesh.client_count == 3);
  CHECK(mesh.tunnel_refresh == std::chrono::seconds(60));
  CHECK(mesh.most_served == 7);
  CHECK(mesh.babeld == "/opt/babeld");
  CHECK(mesh.up == "echo $sixlink_ip");
  CHECK(mesh.daemon == "sleep 9");
  const auto client = loaded(std::string(kNode) + "client_only=gw.example.net:4000\nlink_tcp_port=none\n");
  CHECK(client.mesh.client_only->host == "gw.example.net");
  CHECK(client.mesh.client_only->port == 4000);
  CHECK(client.mesh.tcp_ports.empty());
}

TEST_CASE("mesh_config: values that are not allowed") {
  for (const auto* line : {"registry=http://a",
                           "neighbour=2001:db8::/65",
                           "neighbour=192.0.2.1",
                           "neighbour=fe80::1",
                           "neighbour=2001:db8:1::/48 2001:db8:1::/48",
                           "client_only=a b",
                           "client_only=[::1",
                           "endpoint=a.example",
                           "endpoint=0.0.0.0",
                           "endpoint=127.0.0.1",
                           "endpoint=ff02::1",
                           "endpoint=fe80::1",
                           "endpoint=::ffff:192.0.2.1",
                           "endpoint=192.0.2.1/sctp",
                           "endpoint=192.0.2.1:0",
                           "remote_gateway=a",
                           "prefer_gateway=192.0.2.1",
                           "prefer_gateway=2001:db8:42:7::1 2001:db8:42:7::/64",
                           "remote_gateway=::",
                           "disable_proto=icmp",
                           "link_transport=sctp",
                           "link_transport=udp udp",
                           "link_port=0",
                           "link_port=65536",
                           "link_tcp_port=0",
                           "link_tcp_port=1 2 3 4 5",
                           "link_mtu=1279",
                           "link_mtu=1421",
                           "gateway=maybe",
                           "main_interface=all",
                           "lan_interface=eth0;reboot",
                           "lan_interface=eth0 eth0",
                           "port_mapping=1",
                           "client_count=101",
                           "client_count=-1",
                           "tunnel_refresh=9",
                           "most_served=1001",
                           "babeld=bin/babeld",
                           "up=\x01",
                           "daemon=\x7f"}) {
    CAPTURE(line);
    const std::string text = std::string(line).starts_with("registry") ? std::string() : kNode;
    const auto key = std::string(line).substr(0, std::string(line).find('='));
    const auto result = parse_config("mesh.conf", text + line + "\n");
    CHECK_FALSE(result.config);
    REQUIRE_FALSE(result.problems.empty());
    CHECK(result.problems[0].key == key);
  }
  CHECK(refused(kNode + ("up=" + std::string(2001, 'x')) + "\n") == "up");
}

TEST_CASE("mesh_config: good values that do not go together") {
  CHECK(refused(std::string(kNode) + "disable_proto=ipv4 ipv6\n") == "disable_proto");
  CHECK(refused(std::string(kNode) + "disable_proto=udp tcp4 tcp6\n") == "disable_proto");
  CHECK(refused(std::string(kNode) + "disable_proto=tcp\nlink_transport=tcp\n") == "link_transport");
  CHECK(refused(std::string(kNode) + "client_only=192.0.2.1\nneighbour=2001:db8:42:7::/64\n") == "neighbour");
  CHECK(refused(std::string(kNode) + "client_only=192.0.2.1\ngateway=yes\n") == "gateway");
  for (const auto* key :
       {"neighbour=2001:db8:42:7::/64", "client_only=192.0.2.1", "lan_interface=eth0", "up=true"}) {
    CAPTURE(key);
    const std::string line(key);
    CHECK(refused("server=a.example\n" + line + "\n") == line.substr(0, line.find('=')));
  }
}

TEST_CASE("mesh_config: gateways to be preferred, in their order") {
  const auto config = loaded(std::string(kNode) + "prefer_gateway=2001:db8:42:7::/64, 2001:db8:42:9::1\n");
  REQUIRE(config.mesh.preferred_gateways.size() == 2);
  CHECK(config.mesh.preferred_gateways[0].to_string() == "2001:db8:42:7::/64");
  CHECK(config.mesh.preferred_gateways[1].to_string() == "2001:db8:42:9::/64");
  CHECK(loaded(kNode).mesh.preferred_gateways.empty());
  const std::string one = "prefer_gateway=2001:db8:42:7::/64\n";
  CHECK(refused(kNode + one + "gateway=yes\n") == "prefer_gateway");
  CHECK(refused("server=a.example\n" + one) == "prefer_gateway");
}

TEST_CASE("mesh_config: --lan-interface adds to lan_interface") {
  const auto options =
      parse_options({"--lan-interface", "eth1", "--lan-interface=eth0", "--lan-interface=eth1"});
  REQUIRE(options.options);
  const auto result =
      parse_config("mesh.conf", std::string(kNode) + "lan_interface=eth0\n", &*options.options);
  REQUIRE(result.config);
  CHECK(result.config->mesh.lan_interfaces == std::vector<std::string>{"eth0", "eth1"});
}
