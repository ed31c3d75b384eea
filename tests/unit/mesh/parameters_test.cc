// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/parameters.h"

#include <doctest/doctest.h>

#include "src/pki/cms.h"
#include "tests/unit/pki/mesh_certificates.h"

using namespace sixlink;
using namespace sixlink::test;
using namespace std::chrono_literals;
using mesh::NetworkParameters;
using mesh::open_parameters;
using mesh::parse_parameters;

namespace {

struct Network {
  pki::Authority authority = pki::Authority::create(kNetwork, "our network", kYear);
  pki::TrustAnchor anchor{{authority.certificate()}};
  NetworkParameters parameters;

  Network() {
    parameters.version = 12;
    parameters.network = kNetwork;
    parameters.network_v4 = net::PrefixV4::parse("203.0.113.0/24");
    parameters.revoked = {"0a", "ff01"};
  }
};

std::string with(const char* element) {
  return "<parameters><version>1</version><network>2001:db8:42::/48</network>" + std::string(element) +
         "</parameters>";
}

}  // namespace

TEST_CASE_FIXTURE(Network, "parameters: survive text and signature") {
  const auto next = pki::Authority::create(kNetwork, "our next network", kYear);
  parameters.authorities = {authority.certificate(), next.certificate()};
  const auto parsed = parse_parameters(to_xml(parameters));
  REQUIRE_MESSAGE(parsed.parameters, parsed.problem);
  CHECK(*parsed.parameters == parameters);
  const auto opened = open_parameters(sign_parameters(parameters, authority), anchor, kNow);
  REQUIRE_MESSAGE(opened.parameters, opened.problem);
  CHECK(*opened.parameters == parameters);
}

TEST_CASE("parameters: what is not said has its default, what a later version says is passed over") {
  const auto parsed = parse_parameters(with("<colour>red</colour>"));
  REQUIRE(parsed.parameters);
  CHECK(parsed.parameters->client_count == 10);
  CHECK(parsed.parameters->tunnel_refresh == 300s);
  CHECK(parsed.parameters->revoked.empty());
}

TEST_CASE("parameters: half a document is none") {
  for (const char* bad : {"<revoked>0a</revoked><revoked>xyz</revoked>", "<revoked></revoked>",
                          "<revoked>0A</revoked>", "<revoked>0a0</revoked>", "<authority>AAAA</authority>",
                          "<authority></authority>", "<client-count>0</client-count>",
                          "<client-count>101</client-count>", "<hello-interval>x</hello-interval>",
                          "<tunnel-refresh>-1</tunnel-refresh>", "<network-v4>203.0.113.1/24</network-v4>"})
    CHECK_MESSAGE(!parse_parameters(with(bad)).parameters, bad);
  for (const char* bad :
       {"", "<parameters/>", "<contact/>", "<parameters><version>1</version></parameters>",
        "<parameters><version>-1</version><network>2001:db8:42::/48</network></parameters>",
        "<parameters><version>1</version><network>2001:db8:42::1/48</network></parameters>"})
    CHECK_MESSAGE(!parse_parameters(bad).parameters, bad);
}

TEST_CASE_FIXTURE(Network, "parameters: bounded, and 2,000 revoked nodes fit") {
  parameters.revoked.clear();
  for (int i = 0; i < 2000; ++i) {
    char serial[17];
    std::snprintf(serial, sizeof serial, "%06x", i);
    parameters.revoked.insert(serial);
  }
  const auto der = sign_parameters(parameters, authority);
  CHECK(der.size() < pki::kLargestSigned);
  CHECK(open_parameters(der, anchor, kNow).parameters == parameters);
  parameters.revoked.insert("ffffff");
  CHECK_FALSE(open_parameters(sign_parameters(parameters, authority), anchor, kNow).parameters);
}

TEST_CASE_FIXTURE(Network, "parameters: of another authority, a node, or an expired one are refused") {
  const auto foreign = pki::Authority::create(kNetwork, "our network", kYear);
  CHECK(open_parameters(sign_parameters(parameters, foreign), anchor, kNow).problem ==
        "the network's parameters are not signed by its authority: the certificate is not one of the "
        "network's authorities'");
  const Node node(authority, "2001:db8:42:7::/64");
  CHECK_FALSE(
      open_parameters(pki::sign(to_xml(parameters), *node.certificate, node.key), anchor, kNow).parameters);
  const auto der = sign_parameters(parameters, authority);
  CHECK(open_parameters(der, anchor, kYear.until + 1h).problem ==
        "the network's parameters are not signed by its authority: the certificate has expired");
  CHECK_FALSE(open_parameters({}, anchor, kNow).parameters);
  parameters.network = *net::Prefix::parse("2001:db8:43::/48");
  CHECK(open_parameters(sign_parameters(parameters, authority), anchor, kNow).problem ==
        "the network's parameters are for another network than their signer's");
}

TEST_CASE_FIXTURE(Network, "parameters: the authority changes without anybody being cut off") {
  const auto old = pki::Authority::create(kNetwork, "our network", {kNow - 1h, kNow + 48h});
  const std::vector<pki::Certificate> joined_with{old.certificate()};
  CHECK(anchor_of(joined_with, parameters, kNow).authorities().size() == 1);
  // The old one says who comes next.
  parameters.authorities = {authority.certificate()};
  const auto opened = open_parameters(sign_parameters(parameters, old), pki::TrustAnchor(joined_with), kNow);
  REQUIRE_MESSAGE(opened.parameters, opened.problem);
  const auto both = anchor_of(joined_with, *opened.parameters, kNow);
  CHECK(both.authorities().size() == 2);
  const Node before(old, "2001:db8:42:7::/64");
  const Node after(authority, "2001:db8:42:8::/64");
  CHECK(both.verify(*before.certificate, kNow) == pki::Distrust::kNone);
  CHECK(both.verify(*after.certificate, kNow) == pki::Distrust::kNone);
  // The new one signs from then on, and the old one goes with its time.
  ++parameters.version;
  CHECK(open_parameters(sign_parameters(parameters, authority), both, kNow).parameters);
  const auto later = anchor_of(joined_with, parameters, kNow + 72h);
  CHECK(later.authorities() == std::vector{authority.certificate()});
  parameters.authorities.clear();
  CHECK(anchor_of(joined_with, parameters, kNow + 72h).authorities().size() == 1);
}
