// SPDX-License-Identifier: BSD-3-Clause
#include "registry/config_mesh.h"

#include <doctest/doctest.h>

#include <string>

using namespace sixlink;
using namespace sixlink::registry;

namespace {

const std::string kMesh = "network=2001:db8:43::/48\nregistry_url=https://registry.example.net/\n";

Config parse(const std::string& text) {
  auto loaded = parse_config("test.conf", text);
  for (const auto& problem : loaded.problems) MESSAGE(config::to_string("test.conf", problem));
  REQUIRE(loaded.config.has_value());
  return *std::move(loaded.config);
}

std::string said(const std::string& text) {
  const auto loaded = parse_config("test.conf", text);
  std::string all;
  for (const auto& problem : loaded.problems) all += config::to_string("test.conf", problem) + "\n";
  for (const auto& warning : loaded.warnings)
    all += "warning " + config::to_string("test.conf", warning) + "\n";
  return all;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("registry config: a mesh alone needs a network and a URL, and no prefix") {
  const auto config = parse(kMesh);
  CHECK_FALSE(config.serves_tunnels());
  CHECK(config.mesh.network->to_string() == "2001:db8:43::/48");
  CHECK(config.mesh.urls == std::vector<std::string>{"https://registry.example.net/"});
  CHECK(config.mesh.hosts == std::vector<std::string>{"registry.example.net"});
  REQUIRE(config.mesh.listen.size() == 2);
  CHECK(config.mesh.listen[0].port == 443);
  CHECK(config.mesh.shortest_prefix == 49);
  CHECK(config.mesh_database() == "/var/lib/sixlink/mesh.db");
  CHECK_FALSE(config.mesh.anonymous);
  CHECK(parse("prefix=2001:db8:42::/48\n" + kMesh).serves_tunnels());
  CHECK_FALSE(parse("prefix=2001:db8:42::/48\n").mesh.network);
  CHECK(contains(said("anonymous=yes\n"), "prefix"));
}

TEST_CASE("registry config: the mesh's values") {
  const auto config =
      parse(kMesh +
            "network_v4=203.0.113.0/24 28\nhttps_listen=192.0.2.1 [2001:db8::1]:8443\nmesh_prefix_length=60\n"
            "mesh_prefix_length_min=56\nmesh_database=postgresql://sixlink@192.0.2.9/mesh\n");
  CHECK(config.mesh.network_v4->network.to_string() == "203.0.113.0/24");
  CHECK(config.mesh.network_v4->length == 28);
  CHECK(config.mesh.listen[0].port == 443);
  CHECK(config.mesh.listen[1].port == 8443);
  CHECK(config.mesh_database() == "postgresql://sixlink@192.0.2.9/mesh");
}

TEST_CASE("registry config: what of the mesh does not fit together") {
  CHECK(contains(said("network=2001:db8:43::/48\n"), "registry_url"));
  CHECK(contains(said("prefix=2001:db8:43:8000::/56\n" + kMesh), "overlap"));
  CHECK(contains(said(kMesh + "mesh_prefix_length_min=48\n"), "not longer than network="));
  CHECK(contains(said(kMesh + "mesh_prefix_length=56\nmesh_prefix_length_min=60\n"), "shorter than"));
  CHECK(contains(said(kMesh + "mesh_database=/tmp/mesh.db\n"), "postgresql://"));
  CHECK(contains(said(kMesh + "smtp_server=mail.example.net\n"), "smtp_from"));
  CHECK(contains(said(kMesh + "smtp_server=mail.example.net\nsmtp_from=a@example.net\nsmtp_user=a\n"),
                 "go together"));
  CHECK(contains(said(kMesh + "smtp_user=a\n"), "without effect"));
  CHECK(contains(said("prefix=2001:db8:42::/48\nclient_count=3\n"), "without effect"));
  for (const char* bad : {"network=2001:db8::/64", "network=fe80::/10", "network_v4=203.0.113.0/24",
                          "network_v4=203.0.113.0/24 24", "registry_url=http://registry.example.net/",
                          "registry_url=https://registry.example.net/path", "smtp_from=a b@example.net",
                          "smtp_security=maybe", "https_listen=example.net", "certificate_lifetime=59"})
    CHECK_MESSAGE(contains(said(kMesh + bad + "\n"), "test.conf:3"), bad);
  const auto secret = said(kMesh + "smtp_password=swordfish\nsmtp_password=\n");
  CHECK_FALSE(contains(secret, "swordfish"));
}

TEST_CASE("registry config: URLs of a registry") {
  const auto text = [](const char* url) {
    const auto parsed = parse_registry_url(url);
    return parsed ? parsed->text + " " + parsed->host + " " + std::to_string(parsed->port) : std::string();
  };
  CHECK(text("https://registry.example.net") == "https://registry.example.net/ registry.example.net 443");
  CHECK(text("HTTPS://Registry.example.net:8443/") ==
        "https://Registry.example.net:8443/ registry.example.net 8443");
  CHECK(text("https://[2001:db8::1]:8443/") == "https://[2001:db8::1]:8443/ 2001:db8::1 8443");
  CHECK(text("https://[2001:db8::1]") == "https://[2001:db8::1]/ 2001:db8::1 443");
  for (const char* bad : {"", "https://", "https://a b/", "https://2001:db8::1/", "https://u:p@example.net/",
                          "https://example.net/x", "https://example.net?x", "ftp://example.net/"})
    CHECK_MESSAGE(text(bad).empty(), bad);
}
