// SPDX-License-Identifier: BSD-3-Clause
#include "src/pki/trust_anchor.h"

#include <doctest/doctest.h>

#include <string_view>

#include "src/pki/address_block.h"
#include "src/pki/openssl_types.h"
#include "tests/unit/pki/mesh_certificates.h"

using namespace sixlink;
using namespace sixlink::test;
using pki::Distrust;
using pki::TrustAnchor;
using namespace std::chrono_literals;

TEST_CASE("trust: a node of the network, in its time") {
  const auto authority = pki::Authority::create(kNetwork, "our network", kYear);
  const TrustAnchor anchor({authority.certificate()});
  const Node node(authority, "2001:db8:42:7::/64", 1, {kNow, kNow + 24h});
  CHECK(anchor.verify(*node.certificate, kNow) == Distrust::kNone);
  CHECK(anchor.verify(*node.certificate, kNow + 23h) == Distrust::kNone);
  CHECK(anchor.verify(*node.certificate, kNow - 1min) == Distrust::kNotYetValid);
  CHECK(anchor.verify(*node.certificate, kNow + 25h) == Distrust::kExpired);
}

TEST_CASE("trust: a foreign authority with the same name and prefix is not ours") {
  const auto authority = pki::Authority::create(kNetwork, "our network", kYear);
  const auto foreign = pki::Authority::create(kNetwork, "our network", kYear);
  const Node node(foreign, "2001:db8:42:7::/64");
  CHECK(TrustAnchor({authority.certificate()}).verify(*node.certificate, kNow) == Distrust::kForeign);
  CHECK(TrustAnchor({}).verify(*node.certificate, kNow) == Distrust::kForeign);
}

TEST_CASE("trust: while authorities change, either's nodes are good") {
  const auto old = pki::Authority::create(kNetwork, "our network", {kNow - 1h, kNow + 48h});
  const auto next = pki::Authority::create(kNetwork, "our network", kYear);
  const TrustAnchor anchor({old.certificate(), next.certificate()});
  const Node before(old, "2001:db8:42:7::/64");
  const Node after(next, "2001:db8:42:8::/64");
  CHECK(anchor.verify(*before.certificate, kNow) == Distrust::kNone);
  CHECK(anchor.verify(*after.certificate, kNow) == Distrust::kNone);
  // Nothing outlives its authority.
  CHECK(before.certificate->not_after() == kNow + 48h);
  CHECK(anchor.verify(*before.certificate, kNow + 49h) == Distrust::kExpired);
  CHECK(anchor.verify(*after.certificate, kNow + 49h) == Distrust::kNone);
}

TEST_CASE("trust: prefixes of the network alone are issued, and not all of it") {
  const auto authority = pki::Authority::create(kNetwork, "our network", kYear);
  const auto key = pki::PrivateKey::generate();
  const auto issue = [&](const char* prefix, std::uint64_t serial) {
    return authority.issue(request_of(key), *net::Prefix::parse(prefix), serial, kYear).has_value();
  };
  CHECK(issue("2001:db8:42:1::/64", 1));
  CHECK_FALSE(issue("2001:db8:43:1::/64", 1));
  CHECK_FALSE(issue("2001:db8:42::/48", 1));
  CHECK_FALSE(issue("2001:db8::/32", 1));
  CHECK_FALSE(issue("2001:db8:42:1::/64", 0));
}

TEST_CASE("trust: a prefix of another network, signed by our authority's key, is not believed") {
  // The same key and name with a certificate of another prefix: what a careless operator could make.
  const auto wide = pki::Authority::create(*net::Prefix::parse("2001:db8::/32"), "our network", kYear);
  const Node node(wide, "2001:db8:99:7::/64");
  CHECK(TrustAnchor({wide.certificate()}).verify(*node.certificate, kNow) == Distrust::kNone);
  const auto narrow = pki::Authority::create(kNetwork, "our network", kYear);
  CHECK(TrustAnchor({narrow.certificate()}).verify(*node.certificate, kNow) == Distrust::kForeign);
}

TEST_CASE("trust: a prefix outside of the network is not believed, whatever the authority signed") {
  const auto authority = pki::Authority::create(kNetwork, "our network", kYear);
  const Node node(authority, "2001:db8:42:7::/64");
  const TrustAnchor anchor({authority.certificate()});
  // Authority::issue() makes none such.
  const auto signed_for = [&](const char* prefix) {
    pki::X509Ptr forged(X509_dup(node.certificate->native()));
    const pki::ExtensionPtr old(
        X509_delete_ext(forged.get(), X509_get_ext_by_NID(forged.get(), NID_sbgp_ipAddrBlock, -1)));
    REQUIRE(old);
    const auto block = pki::make_address_block(*net::Prefix::parse(prefix));
    REQUIRE(X509_add_ext(forged.get(), block.get(), -1) == 1);
    REQUIRE(X509_sign(forged.get(), authority.key().native(), EVP_sha256()) > 0);
    auto certificate = pki::Certificate::adopt(forged.release());
    REQUIRE(certificate);
    return anchor.verify(*certificate, kNow);
  };
  CHECK(signed_for("2001:db8:42:8::/64") == Distrust::kNone);
  CHECK(signed_for("2001:db8:43:8::/64") == Distrust::kForeignPrefix);
  CHECK(signed_for("2001:db8::/32") == Distrust::kForeignPrefix);
}

TEST_CASE("trust: a node is no authority, and an authority no node") {
  const auto authority = pki::Authority::create(kNetwork, "our network", kYear);
  const Node node(authority, "2001:db8:42:7::/64");
  const TrustAnchor anchor({authority.certificate()});
  CHECK(anchor.verify(authority.certificate(), kNow) == Distrust::kUnfit);
  CHECK_FALSE(
      pki::Authority::make(*node.certificate, pki::PrivateKey::parse(node.key.to_pem().reveal()).value()));
  CHECK_FALSE(pki::Authority::make(authority.certificate(), pki::PrivateKey::generate()));
  // Even if it is made an anchor.
  CHECK(TrustAnchor({*node.certificate}).authorities().empty());
  CHECK(anchor.verify_authority(authority.certificate(), kNow) == Distrust::kNone);
  CHECK(anchor.verify_authority(authority.certificate(), kYear.until + 1h) == Distrust::kExpired);
  CHECK(anchor.verify_authority(*node.certificate, kNow) == Distrust::kForeign);
  const auto foreign = pki::Authority::create(kNetwork, "our network", kYear);
  CHECK(anchor.verify_authority(foreign.certificate(), kNow) == Distrust::kForeign);
}

TEST_CASE("trust: every reason has its words") {
  for (const auto reason : {Distrust::kNone, Distrust::kForeign, Distrust::kNotYetValid, Distrust::kExpired,
                            Distrust::kForeignPrefix, Distrust::kUnfit})
    CHECK(std::string_view(explain(reason)).size() > 6);
}
