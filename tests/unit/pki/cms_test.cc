// SPDX-License-Identifier: BSD-3-Clause
#include "src/pki/cms.h"

#include <doctest/doctest.h>

#include <openssl/cms.h>

#include <random>

#include "src/pki/openssl_types.h"
#include "tests/unit/pki/mesh_certificates.h"

using namespace sixlink;
using namespace sixlink::test;

namespace {

constexpr std::string_view kText = "<contact prefix=\"2001:db8:42:7::/64\"/>\r\n";

struct Fixture {
  pki::Authority authority = pki::Authority::create(kNetwork, "our network", kYear);
  Node node{authority, "2001:db8:42:7::/64"};
};

std::vector<std::uint8_t> sign_with_flags(const Node& node, unsigned flags) {
  const auto input = pki::read_only(kText);
  auto* const cms = CMS_sign(node.certificate->native(), node.key.native(), nullptr, input.get(), flags);
  const pki::Bio output(BIO_new(BIO_s_mem()));
  i2d_CMS_bio(output.get(), cms);
  CMS_ContentInfo_free(cms);
  const auto der = pki::contents(output);
  return {der.begin(), der.end()};
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "signed: the text and its signer come out") {
  const auto der = pki::sign(kText, *node.certificate, node.key);
  CHECK(der.size() < 900);
  const auto opened = pki::open_signed(der);
  REQUIRE(opened);
  CHECK(opened->text == kText);
  CHECK(opened->signer == *node.certificate);
}

TEST_CASE_FIXTURE(Fixture, "signed: with another's certificate nothing is signed") {
  const Node other(authority, "2001:db8:42:8::/64", 2);
  CHECK(pki::sign(kText, *other.certificate, node.key).empty());
}

TEST_CASE_FIXTURE(Fixture, "signed: a changed byte anywhere is noticed") {
  const auto der = pki::sign(kText, *node.certificate, node.key);
  for (std::size_t at = 0; at < der.size(); ++at) {
    for (const auto change : {std::uint8_t{1}, std::uint8_t{0x80}}) {
      auto damaged = der;
      damaged[at] ^= change;
      const auto opened = pki::open_signed(damaged);
      // What a signature does not cover: then it is still the same text of the same signer.
      if (!opened) continue;
      CHECK(opened->text == kText);
      CHECK(opened->signer.has_key_of(node.key));
      if (!(opened->signer == *node.certificate))
        CHECK(pki::TrustAnchor({authority.certificate()}).verify(opened->signer, kNow) !=
              pki::Distrust::kNone);
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "signed: cut off, followed by something, empty or too long") {
  auto der = pki::sign(kText, *node.certificate, node.key);
  for (std::size_t size = 0; size < der.size(); ++size)
    CHECK_FALSE(pki::open_signed(std::span(der).first(size)));
  der.push_back(0);
  CHECK_FALSE(pki::open_signed(der));
  CHECK_FALSE(pki::open_signed({}));
  CHECK(pki::open_signed(pki::sign(std::string(60000, 'x'), *node.certificate, node.key)));
  CHECK_FALSE(
      pki::open_signed(pki::sign(std::string(pki::kLargestSigned, 'x'), *node.certificate, node.key)));
}

TEST_CASE_FIXTURE(Fixture, "signed: other forms are not taken") {
  constexpr unsigned kOurs = CMS_BINARY | CMS_NOATTR | CMS_NOSMIMECAP;
  REQUIRE(pki::open_signed(sign_with_flags(node, kOurs)));
  CHECK_FALSE(pki::open_signed(sign_with_flags(node, CMS_BINARY)));            // signed attributes
  CHECK_FALSE(pki::open_signed(sign_with_flags(node, kOurs | CMS_DETACHED)));  // the text is elsewhere
  CHECK_FALSE(pki::open_signed(sign_with_flags(node, kOurs | CMS_NOCERTS)));   // no certificate
}

TEST_CASE_FIXTURE(Fixture, "signed: noise is survived") {
  std::mt19937 random(11);
  const auto good = pki::sign(kText, *node.certificate, node.key);
  for (int i = 0; i < 3000; ++i) {
    auto noise = good;
    for (auto n = 1 + random() % 8; n > 0; --n)
      noise[random() % noise.size()] = static_cast<std::uint8_t>(random());
    const auto opened = pki::open_signed(noise);
    if (opened) CHECK(opened->text == kText);
  }
  CHECK(pki::open_signed(good));
}
