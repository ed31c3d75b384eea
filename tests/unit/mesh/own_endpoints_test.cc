// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/own_endpoints.h"

#include "tests/unit/mesh/mesh_network.h"

using namespace sixlink;
using namespace sixlink::test;
using mesh::EndpointKind;
using mesh::NatKind;
using mesh::OwnEndpoints;

namespace {

boost::asio::ip::address peer(int i) {
  return boost::asio::ip::make_address("198.51.100." + std::to_string(i));
}
const auto kPrivate = contact_endpoint(endpoint("192.0.2.5"), EndpointKind::kLocal);

}  // namespace

TEST_CASE("own endpoints: what nobody has seen says nothing of NATs") {
  OwnEndpoints own;
  CHECK(own.nat() == NatKind::kUnknown);
  CHECK(own.list().empty());
  CHECK_FALSE(own.is_reachable());
  own.set_given({kPrivate});
  CHECK(own.nat() == NatKind::kUnknown);
  CHECK_FALSE(own.is_reachable());
  // One word is not enough.
  own.observe(peer(1), endpoint("203.0.113.9", 4000));
  CHECK(own.nat() == NatKind::kUnknown);
}

TEST_CASE("own endpoints: one mapping for all, or one for each") {
  OwnEndpoints own;
  own.set_given({kPrivate});
  own.observe(peer(1), endpoint("203.0.113.9", 4000));
  own.observe(peer(2), endpoint("203.0.113.9", 4000));
  CHECK(own.nat() == NatKind::kIndependent);
  REQUIRE(own.list().size() == 2);
  CHECK(own.list()[0] == contact_endpoint(endpoint("203.0.113.9", 4000), EndpointKind::kObserved));
  CHECK(own.list()[1] == kPrivate);
  own.observe(peer(3), endpoint("203.0.113.9", 4001));
  CHECK(own.nat() == NatKind::kDependent);
  // The last word of each counts.
  own.observe(peer(3), endpoint("203.0.113.9", 4000));
  CHECK(own.nat() == NatKind::kIndependent);
  own.forget_observed();
  CHECK(own.nat() == NatKind::kUnknown);
  CHECK(own.list().size() == 1);
}

TEST_CASE("own endpoints: seen at an address of its own") {
  OwnEndpoints own;
  own.set_given({contact_endpoint(endpoint("203.0.113.9")), kPrivate});
  CHECK(own.is_reachable());
  own.observe(peer(1), endpoint("203.0.113.9"));
  CHECK(own.nat() == NatKind::kNone);
  CHECK(own.list().size() == 2);
  // Who is on the same segment sees the private address, which is no second mapping.
  own.observe(peer(2), endpoint("192.0.2.5", 9));
  CHECK(own.nat() == NatKind::kNone);
}

TEST_CASE("own endpoints: a mapped port is not a NAT for each destination") {
  OwnEndpoints own;
  own.set_given({contact_endpoint(endpoint("203.0.113.9", 3653), EndpointKind::kMapped)});
  CHECK(own.is_reachable());
  own.observe(peer(1), endpoint("203.0.113.9", 4000));
  own.observe(peer(2), endpoint("203.0.113.9", 4000));
  CHECK(own.nat() == NatKind::kIndependent);
  CHECK(own.list().size() == 2);
}

TEST_CASE("own endpoints: a liar among many is not believed, and nothing grows") {
  OwnEndpoints own;
  own.observe(peer(1), endpoint("203.0.113.9", 4000));
  own.observe(peer(2), endpoint("203.0.113.9", 4000));
  own.observe(peer(3), endpoint("203.0.113.66", 1));
  CHECK(own.list()[0].address == boost::asio::ip::make_address("203.0.113.9"));
  own.observe(peer(4), endpoint("127.0.0.1", 1));
  own.observe(peer(4), endpoint("224.0.0.1", 1));
  own.observe(peer(4), endpoint("fe80::1", 1));
  own.observe(peer(4), endpoint("203.0.113.9", 0));
  CHECK(own.list().size() == 1);
  std::vector<mesh::ContactEndpoint> many(100, kPrivate);
  own.set_given(many);
  for (int i = 1; i < 250; ++i) own.observe(peer(i), endpoint("203.0.113.9", static_cast<std::uint16_t>(i)));
  CHECK(own.list().size() == mesh::Contact::kMostEndpoints);
  CHECK(own.nat() == NatKind::kDependent);
}

TEST_CASE("own endpoints: IPv4 and IPv6 are seen each by themselves") {
  OwnEndpoints own;
  own.set_given({contact_endpoint(endpoint("2001:db8:1::9")), kPrivate});
  own.observe(peer(1), endpoint("203.0.113.9", 4000));
  own.observe(peer(2), endpoint("203.0.113.9", 4000));
  own.observe(boost::asio::ip::make_address("2001:db8:2::1"), endpoint("2001:db8:1::9"));
  CHECK(own.nat() == NatKind::kIndependent);
  CHECK(own.list().size() == 3);
}
