// SPDX-License-Identifier: BSD-3-Clause
// A contact with the signature of the node that it is of, which anybody who knows the network's authority can
// check.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "src/mesh/contact.h"
#include "src/pki/certificate.h"
#include "src/pki/trust_anchor.h"

namespace sixlink::pki {
class PrivateKey;
}

namespace sixlink::mesh {

struct SignedContact {
  std::vector<std::uint8_t> der;
  Contact contact;
  std::string serial;  // of the certificate
  // While its certificate is good, and its authority's.
  WallTime good_from = WallTime::min();
  WallTime good_until = WallTime::max();

  // False: it is to be verified again, which may say something else.
  bool is_good_at(WallTime now) const {
    return now >= good_from && now < good_until && now < contact.expires;
  }
};

using ContactRef = std::shared_ptr<const SignedContact>;

struct OpenedContact {
  ContactRef contact;   // or
  std::string problem;  // whole words: "the contact of 2001:db8:42:7::/64 ..."
};

// What MeshNode knows of signatures. Simulations have a cheap one.
class ContactVerifier {
 public:
  virtual ~ContactVerifier() = default;
  // Hostile bytes. A contact that this returns is one that its node signed: it has that certificate's prefix,
  // the certificate is good and was not revoked, and neither has expired at `now`.
  virtual OpenedContact open(std::span<const std::uint8_t> der, WallTime now) const = 0;
};

class CertifiedContacts final : public ContactVerifier {
 public:
  explicit CertifiedContacts(pki::TrustAnchor anchor) : anchor_(std::move(anchor)) {}

  OpenedContact open(std::span<const std::uint8_t> der, WallTime now) const override;
  // As the network's parameters say.
  void set_revoked(std::set<std::string, std::less<>> serials) { revoked_ = std::move(serials); }
  void set_anchor(pki::TrustAnchor anchor) { anchor_ = std::move(anchor); }

 private:
  pki::TrustAnchor anchor_;
  std::set<std::string, std::less<>> revoked_;
};

// Of this node. Throws std::runtime_error where OpenSSL cannot.
SignedContact sign_contact(const Contact& contact, const pki::Certificate& certificate,
                           const pki::PrivateKey& key);

}  // namespace sixlink::mesh
