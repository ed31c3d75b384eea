// SPDX-License-Identifier: BSD-3-Clause
// A network with an authority and nodes, for tests.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "src/pki/authority.h"
#include "src/pki/trust_anchor.h"

namespace sixlink::test {

inline const pki::WallTime kNow =
    std::chrono::sys_days(std::chrono::year(2026) / 3 / 1) + std::chrono::hours(12);
inline const pki::Validity kYear{kNow - std::chrono::hours(1), kNow + std::chrono::hours(24 * 365)};
inline const net::Prefix kNetwork = *net::Prefix::parse("2001:db8:42::/48");

inline pki::CertificateRequest request_of(const pki::PrivateKey& key, const std::string& name = "a node") {
  std::string problem;
  auto request = pki::CertificateRequest::make(key, {{"CN", name}}, problem);
  REQUIRE_MESSAGE(request, problem);
  return *std::move(request);
}

struct Node {
  pki::PrivateKey key = pki::PrivateKey::generate();
  std::optional<pki::Certificate> certificate;

  Node(const pki::Authority& authority, const char* prefix, std::uint64_t serial = 1,
       const pki::Validity& validity = kYear) {
    certificate = authority.issue(request_of(key), *net::Prefix::parse(prefix), serial, validity);
    REQUIRE(certificate);
  }
};

}  // namespace sixlink::test
