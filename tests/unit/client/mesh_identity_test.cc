// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/mesh_identity.h"

#include <doctest/doctest.h>

#include "src/config/small_file.h"
#include "tests/unit/pki/mesh_certificates.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::client;
using std::chrono::hours;
using test::kNow;

namespace {

void put(const std::string& path, std::string_view text) {
  REQUIRE_FALSE(config::write_small_file(path, text, config::Existing::kReplace));
}

struct Joined {
  test::TemporaryDirectory directory;
  MeshConfig config;
  pki::Authority authority = pki::Authority::create(test::kNetwork, "a mesh", test::kYear);
  test::Node node{authority, "2001:db8:42:7::/64"};

  Joined() {
    config.registry = "https://registry.example.net";
    config.directory = directory.path();
    put(config.authority_path(), authority.certificate().to_pem());
    put(config.certificate_path(), node.certificate->to_pem());
    put(config.key_path(), node.key.to_pem().reveal());
  }
  std::string problem() const { return load_mesh_identity(config).problem; }
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("mesh_identity: the files of a node that has joined") {
  const Joined joined;
  const auto loaded = load_mesh_identity(joined.config);
  CHECK(loaded.problem == "");
  REQUIRE(loaded.identity);
  CHECK(loaded.identity->certificate == *joined.node.certificate);
  CHECK(loaded.identity->joined_with.front() == joined.authority.certificate());
  CHECK(loaded.identity->parameters.empty());
  CHECK_FALSE(loaded.identity->prefix_v4);
  // The WireGuard key is made, and stays.
  const auto again = load_mesh_identity(joined.config);
  CHECK(again.identity->wireguard.public_key() == loaded.identity->wireguard.public_key());
  CHECK(store_prefix_v4(joined.config, net::PrefixV4::parse("203.0.113.16/28")).empty());
  CHECK(load_mesh_identity(joined.config).identity->prefix_v4 == net::PrefixV4::parse("203.0.113.16/28"));
  CHECK(store_prefix_v4(joined.config, std::nullopt).empty());
  CHECK_FALSE(load_mesh_identity(joined.config).identity->prefix_v4);
}

TEST_CASE("mesh_identity: what is missing is named, with the way to get it") {
  const Joined joined;
  for (const auto& path : {joined.config.authority_path(), joined.config.certificate_path()}) {
    CAPTURE(path);
    const auto text = test::content_of(path);
    std::filesystem::remove(path);
    CHECK(contains(joined.problem(), path));
    CHECK(contains(joined.problem(), "sixlink join https://registry.example.net"));
    put(path, "nonsense\n");
    CHECK(contains(joined.problem(), path));
    put(path, text);
  }
  std::filesystem::remove(joined.config.key_path());
  CHECK(contains(joined.problem(), joined.config.key_path()));
}

TEST_CASE("mesh_identity: files that do not belong together are refused") {
  const Joined joined;
  put(joined.config.key_path(), pki::PrivateKey::generate().to_pem().reveal());
  CHECK(contains(joined.problem(), "is another key's"));
  put(joined.config.key_path(), joined.node.key.to_pem().reveal());
  CHECK(joined.problem().empty());
  const auto other = pki::Authority::create(test::kNetwork, "another", test::kYear);
  put(joined.config.authority_path(), other.certificate().to_pem());
  CHECK(contains(joined.problem(), "was not issued by this network's authority"));
  put(joined.config.authority_path(), joined.authority.certificate().to_pem() + other.certificate().to_pem());
  CHECK(joined.problem().empty());
  put(joined.config.authority_path(), joined.node.certificate->to_pem());
  CHECK(contains(joined.problem(), "no authority's"));
  const auto elsewhere =
      pki::Authority::create(*net::Prefix::parse("2001:db8:43::/48"), "elsewhere", test::kYear);
  put(joined.config.authority_path(),
      joined.authority.certificate().to_pem() + elsewhere.certificate().to_pem());
  CHECK(contains(joined.problem(), "more than one network"));
}

TEST_CASE("mesh_identity: an expired certificate is loaded: the clock may be wrong") {
  Joined joined;
  const test::Node old(joined.authority, "2001:db8:42:8::/64", 2, {kNow - hours(1), kNow - hours(0)});
  put(joined.config.certificate_path(), old.certificate->to_pem());
  put(joined.config.key_path(), old.key.to_pem().reveal());
  CHECK(joined.problem().empty());
}

TEST_CASE("mesh_identity: when a certificate is renewed, and when that has failed") {
  const Joined joined;
  const auto& certificate = *joined.node.certificate;
  CHECK(renewal_time(certificate) == certificate.not_after() - hours(24 * 30));
  CHECK(certificate_warning(certificate, kNow).empty());
  CHECK(certificate_warning(certificate, renewal_time(certificate) + hours(1)).empty());
  CHECK(contains(certificate_warning(certificate, renewal_time(certificate) + hours(25)),
                 "could not be renewed"));
  CHECK(contains(certificate_warning(certificate, certificate.not_after() + hours(1)), "expired on"));
  CHECK(contains(certificate_warning(certificate, certificate.not_before() - hours(1)), "set the clock"));
  const test::Node brief(joined.authority, "2001:db8:42:8::/64", 2, {kNow, kNow + hours(24 * 30)});
  CHECK(renewal_time(*brief.certificate) == kNow + hours(24 * 20));
  CHECK(utc_date(kNow) == "2026-03-01");
  CHECK(utc_time(kNow) == "2026-03-01T12:00:00Z");
}
