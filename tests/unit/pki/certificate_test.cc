// SPDX-License-Identifier: BSD-3-Clause
#include "src/pki/certificate.h"

#include <doctest/doctest.h>
#include <openssl/ui.h>

#include <random>

#include "tests/unit/pki/mesh_certificates.h"

using namespace sixlink;
using namespace sixlink::test;
using pki::Certificate;

TEST_CASE("certificate: has what it was issued with, also after a way through text and bytes") {
  const auto authority = pki::Authority::create(kNetwork, "our network", kYear);
  const Node node(authority, "2001:db8:42:7::/64", 0x0a3f);
  const auto& made = *node.certificate;
  for (const auto& one :
       {made, Certificate::parse(made.to_der()).value(), Certificate::parse_pem(made.to_pem()).value()}) {
    CHECK(one.prefix() == *net::Prefix::parse("2001:db8:42:7::/64"));
    CHECK(one.serial() == "0a3f");
    CHECK(one.subject() == "CN=a node");
    CHECK(one.not_before() == kYear.from);
    CHECK(one.not_after() == kYear.until);
    CHECK_FALSE(one.is_authority());
    CHECK(one.has_key_of(node.key));
    CHECK_FALSE(one.has_key_of(pki::PrivateKey::generate()));
    CHECK(one == made);
    CHECK(one.fingerprint().size() == 7 + 64);
    CHECK(one.fingerprint().starts_with("sha256:"));
  }
  CHECK(made.to_der().size() < 600);
  CHECK(authority.certificate().is_authority());
  CHECK(authority.certificate().prefix() == kNetwork);
  CHECK_FALSE(authority.certificate() == made);
}

TEST_CASE("certificate: prefixes of every length") {
  const auto authority = pki::Authority::create(*net::Prefix::parse("2000::/3"), "all", kYear);
  CHECK(authority.certificate().prefix().length == 3);
  const auto address = *net::parse_v6("2fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  for (int length = 4; length <= 128; ++length) {
    const auto prefix = *net::Prefix::make(net::mask(address, length), length);
    const auto key = pki::PrivateKey::generate();
    const auto certificate = authority.issue(request_of(key), prefix, 1, kYear);
    REQUIRE(certificate);
    CHECK(certificate->prefix() == prefix);
  }
}

TEST_CASE("certificate: files of several") {
  const auto first = pki::Authority::create(kNetwork, "old", kYear);
  const auto second = pki::Authority::create(kNetwork, "new", kYear);
  const auto text = first.certificate().to_pem() + "\n" + second.certificate().to_pem() + "\n\n";
  const auto both = Certificate::parse_all_pem(text, 2);
  REQUIRE(both.size() == 2);
  CHECK(both[0] == first.certificate());
  CHECK(both[1] == second.certificate());
  CHECK(Certificate::parse_all_pem(text, 1).empty());
  CHECK_FALSE(Certificate::parse_pem(text));
  CHECK(Certificate::parse_all_pem(text + "something else", 3).empty());
  CHECK(Certificate::parse_all_pem("", 3).empty());
}

TEST_CASE("certificate: what is damaged, cut off or followed by something is none") {
  const auto authority = pki::Authority::create(kNetwork, "our network", kYear);
  const Node node(authority, "2001:db8:42:7::/64");
  auto der = node.certificate->to_der();
  for (std::size_t size = 0; size < der.size(); ++size)
    CHECK_FALSE(Certificate::parse(std::span(der).first(size)));
  der.push_back(0);
  CHECK_FALSE(Certificate::parse(der));
  der.pop_back();
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    auto damaged = der;
    damaged[random() % damaged.size()] ^= static_cast<std::uint8_t>(1 + random() % 255);
    const auto one = Certificate::parse(damaged);
    // It may still be a certificate, and is never the same nor trusted.
    if (!one) continue;
    CHECK_FALSE(*one == *node.certificate);
    CHECK(pki::TrustAnchor({authority.certificate()}).verify(*one, kNow) != pki::Distrust::kNone);
  }
  CHECK_FALSE(Certificate::parse(std::vector<std::uint8_t>(Certificate::kLargest + 1)));
}

TEST_CASE("certificate request: only with the key's own signature, and fields that there are") {
  const auto key = pki::PrivateKey::generate();
  std::string problem;
  const auto request = pki::CertificateRequest::make(
      key, {{"CN", "Zürich 1"}, {"O", "Example"}, {"emailAddress", "a@example.net"}}, problem);
  REQUIRE(request);
  const auto again = pki::CertificateRequest::parse_pem(request->to_pem());
  REQUIRE(again);
  CHECK(again->subject() == request->subject());
  CHECK(again->subject().find("O=Example") != std::string::npos);

  CHECK_FALSE(pki::CertificateRequest::make(key, {{"NONSENSE", "x"}}, problem));
  CHECK(problem.starts_with("NONSENSE: no field"));
  CHECK_FALSE(pki::CertificateRequest::make(key, {{"CN", ""}}, problem));
  CHECK(problem.starts_with("CN: the value"));
  CHECK_FALSE(pki::CertificateRequest::make(key, {{"CN", std::string(65, 'x')}}, problem));
  CHECK_FALSE(pki::CertificateRequest::make(key, {{"C", "Switzerland"}}, problem));

  // A digit of the base64 changed, everywhere: no other request than the signed one is taken. (Bits of the
  // last digit before the padding may carry nothing: such a text still says the same.)
  const auto pem = request->to_pem();
  const auto begin = pem.find('\n') + 1;
  const auto end = pem.find("-----END");
  for (auto at = begin; at < end; ++at) {
    if (pem[at] == '\n' || pem[at] == '=') continue;
    auto damaged = pem;
    damaged[at] = damaged[at] == 'A' ? 'B' : 'A';
    const auto read = pki::CertificateRequest::parse_pem(damaged);
    if (read && pem[at + 1] == '=') {
      CHECK(read->to_pem() == pem);
    } else {
      CHECK_FALSE(read);
    }
  }
  CHECK_FALSE(pki::CertificateRequest::parse_pem(pem + pem));
  CHECK_FALSE(pki::CertificateRequest::parse_pem(""));
}

TEST_CASE("certificate: an encrypted PEM is refused, and nobody is asked for its password") {
  static bool is_asked = false;
  UI_METHOD* const asking = UI_create_method("a test's");
  UI_method_set_opener(asking, [](UI*) {
    is_asked = true;
    return 0;
  });
  const auto* const usual = UI_get_default_method();
  UI_set_default_method(asking);
  const auto encrypted = [](std::string pem) {
    const auto line = pem.find('\n') + 1;
    return pem.insert(line,
                      "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,000102030405060708090A0B0C0D0E0F\n\n");
  };
  const auto authority = pki::Authority::create(kNetwork, "a network", kYear);
  CHECK_FALSE(pki::Certificate::parse_pem(encrypted(authority.certificate().to_pem())));
  CHECK_FALSE(
      pki::CertificateRequest::parse_pem(encrypted(request_of(pki::PrivateKey::generate()).to_pem())));
  UI_set_default_method(usual);
  UI_destroy_method(asking);
  CHECK_FALSE(is_asked);
}
