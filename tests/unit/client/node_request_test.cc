// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/node_request.h"

#include <doctest/doctest.h>

#include "tests/unit/pki/mesh_certificates.h"

using namespace sixlink;
using namespace sixlink::client;

TEST_CASE("node_request: fields of a subject") {
  CHECK(parse_subject_field("CN=router 7") == std::pair<std::string, std::string>("CN", "router 7"));
  CHECK(parse_subject_field("O=a=b") == std::pair<std::string, std::string>("O", "a=b"));
  for (const auto* text : {"", "CN", "=x", "CN=", "C N=x"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_subject_field(text));
  }
}

TEST_CASE("node_request: a renewal asks for the same subject") {
  const auto authority = pki::Authority::create(test::kNetwork, "a mesh", test::kYear);
  const auto key = pki::PrivateKey::generate();
  std::string problem;
  const pki::Subject subject{
      {"CN", "router \xc3\xa4"}, {"O", "Example, Inc."}, {"emailAddress", "a@example.net"}};
  const auto request = pki::CertificateRequest::make(key, subject, problem);
  REQUIRE(request);
  const auto certificate =
      authority.issue(*request, *net::Prefix::parse("2001:db8:42:7::/64"), 7, test::kYear);
  REQUIRE(certificate);
  CHECK(subject_of(*certificate) == subject);
  const auto again = pki::CertificateRequest::make(key, subject_of(*certificate), problem);
  REQUIRE(again);
  CHECK(again->subject() == request->subject());
}
