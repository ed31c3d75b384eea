// SPDX-License-Identifier: BSD-3-Clause
#include "registry/ca/registrar.h"

#include <doctest/doctest.h>

#include "tests/unit/ca/registrar.h"

using namespace sixlink;
using namespace sixlink::registry;
using namespace sixlink::test;
using std::chrono::hours;

namespace {

mesh::NetworkParameters parameters_of(const Registrar& registrar, const pki::WallTime& now = kNow) {
  const auto bytes = registrar.parameters().document;
  // Base64's decoder of the test's own would be a second one to trust: nodes' own way is the proof.
  std::vector<std::uint8_t> der;
  unsigned value = 0;
  int bits = 0;
  for (const char c : bytes) {
    const std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (c == '=') break;
    value = (value << 6 | static_cast<unsigned>(digits.find(c))) & 0xffff;
    if ((bits += 6) >= 8) der.push_back(static_cast<std::uint8_t>(value >> (bits -= 8)));
  }
  auto opened = mesh::open_parameters(der, registrar.authorities().anchor(now), now);
  REQUIRE_MESSAGE(opened.parameters, opened.problem);
  return *std::move(opened.parameters);
}

RefusalCode code_of(const Answer<Issued>& answer) {
  REQUIRE_FALSE(answer);
  return answer.refusal().code;
}

}  // namespace

TEST_CASE("registrar: a token lets one key join, and the answer can be had again") {
  RegistrarParts parts;
  const auto one = pki::PrivateKey::generate();
  const auto two = pki::PrivateKey::generate();
  const auto token = parts.token();
  const auto first = parts.registrar->enrol(request_of(one), token, kNow);
  REQUIRE(first);
  CHECK(first->is_new);
  CHECK(first->prefix.to_string() == "2001:db8:42:1::/64");
  CHECK(first->certificate.prefix() == first->prefix);
  CHECK(parts.registrar->authorities().anchor(kNow).verify(first->certificate, kNow) == pki::Distrust::kNone);
  const auto again = parts.registrar->enrol(request_of(one), token, kNow + hours(1));
  REQUIRE(again);
  CHECK_FALSE(again->is_new);
  CHECK(again->certificate == first->certificate);
  CHECK(code_of(parts.registrar->enrol(request_of(two), token, kNow)) == RefusalCode::kTokenUsed);
  // Also after a restart.
  parts.open();
  CHECK(code_of(parts.registrar->enrol(request_of(two), token, kNow)) == RefusalCode::kTokenUsed);
  CHECK(parts.registrar->enrol(request_of(one), token, kNow)->certificate == first->certificate);
}

TEST_CASE("registrar: who has no good token does not join") {
  RegistrarParts parts;
  const auto key = pki::PrivateKey::generate();
  const auto request = request_of(key);
  CHECK(code_of(parts.registrar->enrol(request, "", kNow)) == RefusalCode::kNotAllowed);
  CHECK(code_of(parts.registrar->enrol(request, "short", kNow)) == RefusalCode::kTokenUnknown);
  CHECK(code_of(parts.registrar->enrol(request, std::string(32, 'a'), kNow)) == RefusalCode::kTokenUnknown);
  CHECK(code_of(parts.registrar->enrol(request, "' OR 1=1 --aaaaaaaaaaaaaaaaaaaaa", kNow)) ==
        RefusalCode::kTokenUnknown);
  const auto token = parts.token();
  CHECK(code_of(parts.registrar->enrol(request, token, kNow + hours(24 * 8))) == RefusalCode::kTokenExpired);
  // Refused is not used up.
  CHECK(parts.registrar->enrol(request, token, kNow));
  CHECK(parts.registrar->tokens(kNow)->empty());
}

TEST_CASE("registrar: a failure does not use the token up") {
  RegistrarParts parts;
  parts.settings.network = kNetwork;
  const auto key = pki::PrivateKey::generate();
  const auto token = parts.token(49);
  // Both /49 but one are out of reach: the network's first /64 is nobody's.
  const auto taken = parts.join(pki::PrivateKey::generate(), 49);
  CHECK(taken.prefix.to_string() == "2001:db8:42:8000::/49");
  CHECK(code_of(parts.registrar->enrol(request_of(key), token, kNow)) == RefusalCode::kNoPrefixLeft);
  const auto listed = parts.registrar->tokens(kNow);
  REQUIRE(listed->size() == 1);
  CHECK(parts.registrar->delete_token(listed->front().id, kNow));
  CHECK(parts.registrar->tokens(kNow)->empty());
}

TEST_CASE("registrar: a key that has a prefix keeps it") {
  RegistrarParts parts;
  const auto key = pki::PrivateKey::generate();
  const auto first = parts.join(key);
  CHECK(parts.join(key).prefix == first.prefix);
  const auto other = parts.registrar->enrol(request_of(key), parts.token(60), kNow);
  CHECK(code_of(other) == RefusalCode::kKeyInUse);
  CHECK(parts.join(pki::PrivateKey::generate()).prefix != first.prefix);
}

TEST_CASE("registrar: nobody gets a certificate that passes for the registry's") {
  RegistrarParts parts;
  const auto key = pki::PrivateKey::generate();
  for (const char* name : {"registry.example.net", "Registry.Example.NET", "*.example.net", "192.0.2.1"})
    CHECK(code_of(parts.registrar->enrol(request_of(key, name), parts.token(), kNow)) ==
          RefusalCode::kBadCertificateRequest);
  CHECK(parts.registrar->enrol(request_of(key, "other.example.net"), parts.token(), kNow));
}

TEST_CASE("registrar: anonymous nodes where that is allowed") {
  RegistrarParts parts;
  parts.settings.anonymous = true;
  parts.settings.network_v4 = NetworkV4{*net::PrefixV4::parse("203.0.113.0/28"), 30};
  parts.open();
  std::set<std::string> prefixes;
  for (int i = 0; i < 4; ++i) {
    const auto issued = parts.registrar->enrol(request_of(pki::PrivateKey::generate()), "", kNow);
    REQUIRE(issued);
    prefixes.insert(issued->prefix.to_string());
    // Three /30, as the first is nobody's.
    REQUIRE(issued->prefix_v4.has_value() == (i < 3));
    if (i == 0) CHECK(issued->prefix_v4->to_string() == "203.0.113.4/30");
  }
  CHECK(prefixes.size() == 4);
}

TEST_CASE("registrar: nodes that ask get IPv4 of the network as it is now") {
  RegistrarParts parts;
  const auto key = pki::PrivateKey::generate();
  const auto other = pki::PrivateKey::generate();
  const auto first = parts.join(key);
  const auto second = parts.join(other);
  CHECK_FALSE(first.prefix_v4);
  const auto asks = [&](const Issued& node, const pki::PrivateKey& with, const pki::WallTime& now) {
    const auto asker = parts.registrar->identify(node.certificate, now);
    REQUIRE(asker);
    const auto issued = parts.registrar->renew(*asker, request_of(with), now);
    REQUIRE(issued);
    // It has the certificate that it had: IPv4 is not in there.
    CHECK(issued->certificate == node.certificate);
    return issued->prefix_v4 ? issued->prefix_v4->to_string() : std::string();
  };
  const auto use = [&](const char* network, const pki::WallTime& now) {
    parts.settings.network_v4 = NetworkV4{*net::PrefixV4::parse(network), 30};
    parts.open(now);
  };
  CHECK(asks(first, key, kNow) == "");
  const auto before = parts.registrar->parameters().version;

  // A range, a larger one, another one.
  use("203.0.113.0/28", kNow);
  CHECK(parts.registrar->parameters().version > before);
  CHECK(asks(first, key, kNow) == "203.0.113.4/30");
  CHECK(asks(first, key, kNow) == "203.0.113.4/30");
  use("203.0.113.0/24", kNow);
  CHECK(asks(first, key, kNow) == "203.0.113.4/30");
  CHECK(asks(second, other, kNow) == "203.0.113.8/30");
  use("198.51.100.0/28", kNow);
  CHECK(asks(first, key, kNow) == "198.51.100.4/30");

  // The old one is kept for it. The other node's, which did not ask meanwhile, is its own still.
  use("203.0.113.0/28", kNow);
  CHECK(parts.join(pki::PrivateKey::generate()).prefix_v4->to_string() == "203.0.113.12/30");
  CHECK_FALSE(parts.join(pki::PrivateKey::generate()).prefix_v4);
  CHECK(asks(first, key, kNow) == "203.0.113.4/30");
  CHECK(asks(second, other, kNow) == "203.0.113.8/30");

  // Until the grace is over.
  use("198.51.100.0/28", kNow);
  CHECK(parts.join(pki::PrivateKey::generate()).prefix_v4->to_string() == "198.51.100.8/30");
  CHECK(parts.join(pki::PrivateKey::generate()).prefix_v4->to_string() == "198.51.100.12/30");
  CHECK_FALSE(parts.join(pki::PrivateKey::generate()).prefix_v4);
  const auto later = kNow + parts.settings.prefix_grace + hours(1);
  CHECK(parts.registrar->maintain(later) == "");
  CHECK(parts.join(pki::PrivateKey::generate(), 0, kNow).prefix_v4->to_string() == "198.51.100.4/30");
  // None is left: what it has stays.
  CHECK(asks(first, key, kNow) == "203.0.113.4/30");
}

TEST_CASE("registrar: one that knows another range gives none of its own") {
  RegistrarParts parts;
  parts.settings.network_v4 = NetworkV4{*net::PrefixV4::parse("203.0.113.0/24"), 30};
  parts.open();
  auto settings = parts.settings;
  settings.network_v4 = NetworkV4{*net::PrefixV4::parse("198.51.100.0/24"), 30};
  Registrar newer(*parts.database, settings);
  REQUIRE(newer.open(kNow).empty());
  const auto version = newer.parameters().version;
  CHECK_FALSE(parts.join(pki::PrivateKey::generate()).prefix_v4);
  // Nor does it publish its own.
  CHECK(parts.registrar->maintain(kNow + hours(1)).empty());
  CHECK(parts.registrar->parameters().version == version);
}

TEST_CASE("registrar: renewal keeps the prefix, and comes when it is time") {
  RegistrarParts parts;
  const auto key = pki::PrivateKey::generate();
  const auto first = parts.join(key);
  const auto asker = parts.registrar->identify(first.certificate, kNow);
  REQUIRE(asker);
  CHECK(first.renew_after == first.certificate.not_after() - hours(24 * 30));
  const auto early = parts.registrar->renew(*asker, request_of(key), kNow + hours(24));
  CHECK(early->certificate == first.certificate);
  const auto due = first.renew_after + hours(1);
  const auto renewed = parts.registrar->renew(*asker, request_of(key), due);
  REQUIRE(renewed);
  CHECK(renewed->is_new);
  CHECK(renewed->prefix == first.prefix);
  CHECK(renewed->certificate.not_after() > first.certificate.not_after());
  // The answer was lost: the same one again.
  CHECK(parts.registrar->renew(*asker, request_of(key), due)->certificate == renewed->certificate);
  // Both are good until they expire.
  CHECK(parts.registrar->identify(first.certificate, due));
  CHECK(parts.registrar->identify(renewed->certificate, due));
  // A new key is another certificate of the same node.
  const auto next = pki::PrivateKey::generate();
  CHECK(parts.registrar->renew(*asker, request_of(next), due)->prefix == first.prefix);
  // Not another node's key.
  const auto other = pki::PrivateKey::generate();
  parts.join(other);
  CHECK(code_of(parts.registrar->renew(*asker, request_of(other), due)) == RefusalCode::kKeyInUse);
}

TEST_CASE("registrar: an expired certificate is good for nothing but renewal, and not for ever") {
  RegistrarParts parts;
  const auto issued = parts.join(pki::PrivateKey::generate());
  const auto late = issued.certificate.not_after() + hours(24 * 99);
  CHECK(parts.registrar->identify(issued.certificate, late).refusal().code ==
        RefusalCode::kCertificateExpired);
  CHECK(parts.registrar->identify(issued.certificate, late, Registrar::Expired::kAllowed));
  CHECK_FALSE(parts.registrar->identify(issued.certificate, late + hours(48), Registrar::Expired::kAllowed));
}

TEST_CASE("registrar: foreign certificates are refused") {
  RegistrarParts parts;
  const auto foreign = pki::Authority::create(kNetwork, "sixlink mesh", kYear);
  const Node stranger(foreign, "2001:db8:42:1::/64");
  parts.join(pki::PrivateKey::generate());
  for (const auto expired : {Registrar::Expired::kRefused, Registrar::Expired::kAllowed})
    CHECK(parts.registrar->identify(*stranger.certificate, kNow, expired).refusal().code ==
          RefusalCode::kCertificateRefused);
}

TEST_CASE("registrar: prefixes are free again after their grace, and merged") {
  RegistrarParts parts;
  const auto one = parts.join(pki::PrivateKey::generate(), 50);
  CHECK(one.prefix.to_string() == "2001:db8:42:4000::/50");
  parts.join(pki::PrivateKey::generate(), 50);
  const auto end = one.certificate.not_after();
  CHECK(parts.registrar->maintain(end + hours(24 * 99)).empty());
  CHECK(
      parts.registrar->enrol(request_of(pki::PrivateKey::generate()), parts.token(49), kNow).refusal().code ==
      RefusalCode::kNoPrefixLeft);
  CHECK(parts.registrar->maintain(end + hours(24 * 101)).empty());
  CHECK(parts.join(pki::PrivateKey::generate(), 49).prefix.to_string() == "2001:db8:42:8000::/49");
}

TEST_CASE("registrar: two of them on one database never give a prefix twice") {
  RegistrarParts parts;
  auto opened = open_sqlite(parts.directory.file("mesh.db"));
  REQUIRE(opened.database);
  Registrar other(*opened.database, parts.settings);
  REQUIRE(other.open(kNow).empty());
  std::set<std::string> prefixes;
  for (int i = 0; i < 20; ++i) {
    auto& registrar = i % 3 == 0 ? other : *parts.registrar;
    const auto issued = registrar.enrol(request_of(pki::PrivateKey::generate()), parts.token(), kNow);
    REQUIRE(issued);
    prefixes.insert(issued->prefix.to_string());
  }
  CHECK(prefixes.size() == 20);
  // One revokes, the other sees it.
  std::string problem;
  CHECK_FALSE(other.refresh(problem));
  REQUIRE(parts.registrar->revoke(*prefixes.begin(), kNow));
  CHECK(other.refresh(problem));
  CHECK(other.parameters().version == parts.registrar->parameters().version);
}

TEST_CASE("registrar: a revoked node is in the parameters, and out") {
  RegistrarParts parts;
  const auto key = pki::PrivateKey::generate();
  const auto issued = parts.join(key);
  const auto before = parameters_of(*parts.registrar);
  CHECK(before.revoked.empty());
  CHECK(before.authorities == parts.registrar->authorities().certificates(kNow));
  SUBCASE("by prefix") {
    REQUIRE(parts.registrar->revoke(issued.prefix.to_string(), kNow));
  }
  SUBCASE("by address") {
    REQUIRE(parts.registrar->revoke("2001:db8:42:1::1", kNow));
  }
  SUBCASE("by serial number") {
    REQUIRE(parts.registrar->revoke(issued.certificate.serial(), kNow));
  }
  const auto after = parameters_of(*parts.registrar);
  CHECK(after.version > before.version);
  CHECK(after.revoked.contains(issued.certificate.serial()));
  CHECK(parts.registrar->identify(issued.certificate, kNow).refusal().code == RefusalCode::kRevoked);
  CHECK(code_of(parts.registrar->enrol(request_of(key), parts.token(), kNow)) == RefusalCode::kRevoked);
  CHECK(parts.registrar->revoke(issued.prefix.to_string(), kNow).refusal().code == RefusalCode::kNotFound);
  // Its prefix stays taken; when the certificate has expired nobody needs to be told any more.
  CHECK(parts.join(pki::PrivateKey::generate()).prefix != issued.prefix);
  const auto later = issued.certificate.not_after() + hours(1);
  CHECK(parts.registrar->maintain(later).empty());
  CHECK(parameters_of(*parts.registrar, later).revoked.empty());
}

TEST_CASE("registrar: revokes a node by its name, where that is one node's alone") {
  RegistrarParts parts;
  const auto join = [&](const char* name) {
    return parts.registrar->enrol(request_of(pki::PrivateKey::generate(), name), parts.token(), kNow)->prefix;
  };
  const auto router = join("router7");
  join("a, \\ name");
  join("twin");
  join("twin");
  join("cafe");
  CHECK(parts.registrar->revoke("router", kNow).refusal().code == RefusalCode::kNotFound);
  CHECK(parts.registrar->revoke("", kNow).refusal().code == RefusalCode::kNotFound);
  CHECK(parts.registrar->revoke("twin", kNow).refusal().code == RefusalCode::kBadRequest);
  const auto revoked = parts.registrar->revoke("router7", kNow);
  REQUIRE(revoked);
  CHECK(revoked->node == router);
  CHECK(parts.registrar->revoke("router7", kNow).refusal().code == RefusalCode::kNotFound);
  // Also one that could be a serial number.
  CHECK(parts.registrar->revoke("CN=cafe", kNow));
}

TEST_CASE("registrar: parameters get another version when they say something else, and only then") {
  RegistrarParts parts;
  const auto first = parts.registrar->parameters().version;
  CHECK(first > 0);
  parts.open(kNow + hours(1));
  CHECK(parts.registrar->parameters().version == first);
  parts.settings.parameters.client_count = 7;
  // The clock went back: the version does not.
  parts.open(kNow - hours(1));
  CHECK(parts.registrar->parameters().version > first);
  CHECK(parameters_of(*parts.registrar).client_count == 7);
}

TEST_CASE("registrar: the next authority is announced before it issues") {
  RegistrarParts parts;
  const auto key = pki::PrivateKey::generate();
  const auto old = parts.join(key);
  const auto root = parts.registrar->authorities().root(kNow)->certificate();
  const auto next = parts.registrar->roll("next", kNow + hours(24), kNow);
  REQUIRE(next);
  CHECK(parameters_of(*parts.registrar).authorities == std::vector{root, *next});
  CHECK(parts.registrar->authorities().issuer(kNow)->certificate() == root);
  const auto later = kNow + hours(25);
  CHECK(parts.registrar->authorities().issuer(later)->certificate() == *next);
  CHECK(parts.registrar->authorities().root(later)->certificate() == root);
  const auto asker = parts.registrar->identify(old.certificate, later);
  REQUIRE(asker);
  const auto renewed = parts.registrar->renew(*asker, request_of(key), later);
  REQUIRE(renewed);
  CHECK(pki::TrustAnchor({*next}).verify(renewed->certificate, later) == pki::Distrust::kNone);
  REQUIRE(parts.registrar->retire(root.fingerprint(), later));
  CHECK(parts.registrar->authorities().root(later)->certificate() == *next);
  CHECK_FALSE(parts.registrar->identify(old.certificate, later));
  CHECK(parts.registrar->identify(renewed->certificate, later));
  CHECK_FALSE(parts.registrar->retire(next->fingerprint(), later));
  parts.open(later);
  CHECK(parts.registrar->authorities().root(later)->certificate() == *next);
}

TEST_CASE("registrar: says what does not fit together") {
  RegistrarParts parts;
  parts.registrar.reset();
  auto other = parts.settings;
  other.network = *net::Prefix::parse("2001:db8:99::/48");
  CHECK(Registrar(*parts.database, other).open(kNow).find("2001:db8:42::/48") != std::string::npos);
  std::filesystem::rename(parts.directory.file("ca"), parts.directory.file("away"));
  CHECK(Registrar(*parts.database, parts.settings).open(kNow).find("restore it") != std::string::npos);
  std::filesystem::rename(parts.directory.file("away"), parts.directory.file("ca"));
  // A lost database with a key that is there is no new network.
  auto fresh = open_sqlite(":memory:");
  REQUIRE(fresh.database);
  CHECK(Registrar(*fresh.database, parts.settings).open(kNow).find("restore the database") !=
        std::string::npos);
  CHECK(Registrar(*parts.database, parts.settings).open(kNow).empty());
}

TEST_CASE("registrar: administrators") {
  RegistrarParts parts;
  const auto made = parts.registrar->make_administrator("operator", hours(24), kNow);
  REQUIRE(made);
  REQUIRE(made->identity);
  CHECK_FALSE(made->identity->key_pem.empty());
  CHECK(parts.registrar->administrators()->size() == 1);
  CHECK(parts.registrar->identify_administrator("something else", kNow).refusal().code ==
        RefusalCode::kCertificateRefused);
  CHECK(*parts.registrar->revoke_administrator("operator", kNow) == 1);
  CHECK_FALSE(parts.registrar->revoke_administrator("operator", kNow));
  CHECK_FALSE(parts.registrar->make_administrator("", hours(24), kNow));
}
