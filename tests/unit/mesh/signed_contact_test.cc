// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/signed_contact.h"

#include <doctest/doctest.h>

#include "src/pki/cms.h"
#include "tests/unit/pki/mesh_certificates.h"

using namespace sixlink;
using namespace sixlink::test;
using namespace std::chrono_literals;

namespace {

struct Network {
  pki::Authority authority = pki::Authority::create(kNetwork, "our network", kYear);
  Node node{authority, "2001:db8:42:7::/64", 0x77};
  mesh::CertifiedContacts contacts{pki::TrustAnchor({authority.certificate()})};
  mesh::Contact contact;

  Network() {
    contact.prefix = node.certificate->prefix();
    contact.key.bytes.fill(9);
    contact.endpoints = {{boost::asio::ip::make_address("198.51.100.7"), 3653, mesh::Transport::kUdp,
                          mesh::EndpointKind::kPublic},
                         {boost::asio::ip::make_address("2001:db8:1::7"), 3653, mesh::Transport::kUdp,
                          mesh::EndpointKind::kPublic},
                         {boost::asio::ip::make_address("198.51.100.7"), 443, mesh::Transport::kTcp,
                          mesh::EndpointKind::kPublic}};
    contact.sequence = 5;
    contact.expires = kNow + 24h;
    contact.software = "sixlink 0.1.0";
  }
  mesh::SignedContact sign() const { return mesh::sign_contact(contact, *node.certificate, node.key); }
};

}  // namespace

TEST_CASE_FIXTURE(Network, "signed contact: whoever knows the authority knows that it is the node's") {
  const auto made = sign();
  // Two datagrams of 1,100 bytes at most, as base64.
  CHECK(made.der.size() < 1500);
  const auto opened = contacts.open(made.der, kNow);
  REQUIRE_MESSAGE(opened.contact, opened.problem);
  CHECK(opened.contact->contact == contact);
  CHECK(opened.contact->serial == "77");
  CHECK(opened.contact->der == made.der);
}

TEST_CASE_FIXTURE(Network, "signed contact: of another network") {
  const auto foreign = pki::Authority::create(kNetwork, "our network", kYear);
  const Node stranger(foreign, "2001:db8:42:7::/64");
  const auto opened =
      contacts.open(mesh::sign_contact(contact, *stranger.certificate, stranger.key).der, kNow);
  CHECK_FALSE(opened.contact);
  CHECK(opened.problem ==
        "the contact of 2001:db8:42:7::/64: its certificate was not issued by this network's authority");
}

TEST_CASE_FIXTURE(Network, "signed contact: the authorities may change") {
  const auto made = sign();
  const auto next = pki::Authority::create(kNetwork, "our next authority", kYear);
  contacts.set_anchor(pki::TrustAnchor({next.certificate()}));
  CHECK_FALSE(contacts.open(made.der, kNow).contact);
  contacts.set_anchor(pki::TrustAnchor({next.certificate(), authority.certificate()}));
  CHECK(contacts.open(made.der, kNow).contact);
}

TEST_CASE_FIXTURE(Network, "signed contact: for a prefix that is another's") {
  contact.prefix = *net::Prefix::parse("2001:db8:42:8::/64");
  const auto opened = contacts.open(sign().der, kNow);
  CHECK_FALSE(opened.contact);
  CHECK(opened.problem ==
        "the contact of 2001:db8:42:7::/64 says that it is 2001:db8:42:8::/64's, which its certificate is "
        "not for");
}

TEST_CASE_FIXTURE(Network, "signed contact: expired, for too long, with an expired certificate, revoked") {
  const auto der = sign().der;
  CHECK(contacts.open(der, kNow + 24h).problem == "the contact of 2001:db8:42:7::/64 has expired");
  CHECK(contacts.open(der, kYear.until + 1h).problem ==
        "the contact of 2001:db8:42:7::/64: its certificate has expired");
  contact.expires = kNow + mesh::Contact::kLongestLife + 1s;
  CHECK(contacts.open(sign().der, kNow).problem ==
        "the contact of 2001:db8:42:7::/64 is to be good for longer than a week");
  REQUIRE(contacts.open(der, kNow).contact);
  contacts.set_revoked({"01", "77"});
  CHECK(contacts.open(der, kNow).problem == "the contact of 2001:db8:42:7::/64: its certificate was revoked");
}

TEST_CASE_FIXTURE(Network, "signed contact: when it will not be believed any more is told with it") {
  const auto opened = contacts.open(sign().der, kNow);
  REQUIRE(opened.contact);
  CHECK(opened.contact->good_from == node.certificate->not_before());
  CHECK(opened.contact->good_until == node.certificate->not_after());
  CHECK(opened.contact->is_good_at(kNow));
  CHECK(opened.contact->is_good_at(contact.expires - 1s));
  CHECK_FALSE(opened.contact->is_good_at(contact.expires));
  CHECK_FALSE(opened.contact->is_good_at(kYear.from - 1s));
  // The authority's own certificate may end before, or begin after.
  const auto late = pki::Authority::create(kNetwork, "our network", {kNow - 1h, kNow + 2h});
  const Node other(late, "2001:db8:42:7::/64", 0x77, {kNow - 2h, kNow + 3h});
  contacts.set_anchor(pki::TrustAnchor({authority.certificate(), late.certificate()}));
  const auto der = mesh::sign_contact(contact, *other.certificate, other.key).der;
  const auto second = contacts.open(der, kNow);
  REQUIRE(second.contact);
  CHECK(second.contact->good_from == kNow - 1h);
  CHECK(second.contact->good_until == kNow + 2h);
  // To the second as the certificates are checked.
  CHECK(contacts.open(der, second.contact->good_until - 1s).contact);
  CHECK_FALSE(contacts.open(der, second.contact->good_until).contact);
  CHECK(contacts.open(der, second.contact->good_from).contact);
  CHECK_FALSE(contacts.open(der, second.contact->good_from - 1s).contact);
}

TEST_CASE_FIXTURE(Network, "signed contact: a key that is not the certificate's signs nothing") {
  const Node other(authority, "2001:db8:42:8::/64", 2);
  CHECK_THROWS(mesh::sign_contact(contact, *node.certificate, other.key));
  CHECK_FALSE(contacts.open(pki::sign("<contact/>", *node.certificate, node.key), kNow).contact);
  CHECK_FALSE(contacts.open({}, kNow).contact);
  CHECK_FALSE(contacts.open(std::vector<std::uint8_t>(9000), kNow).contact);
}
