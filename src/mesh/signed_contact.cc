// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/signed_contact.h"

#include <stdexcept>
#include <utility>

#include "src/pki/cms.h"

namespace sixlink::mesh {
namespace {

// A contact of the largest size with its certificate.
constexpr std::size_t kLargestDer = 8192;

}  // namespace

OpenedContact CertifiedContacts::open(std::span<const std::uint8_t> der, WallTime now) const {
  OpenedContact opened;
  const auto refuse = [&](std::string problem) {
    opened.problem = std::move(problem);
    return opened;
  };
  auto document = der.size() <= kLargestDer ? pki::open_signed(der) : std::nullopt;
  if (!document) return refuse("the contact is damaged: its signature is not that of the certificate in it");
  const auto& certificate = document->signer;
  const auto name = "the contact of " + certificate.prefix().to_string();
  pki::Validity validity{};
  const auto distrust = anchor_.verify(certificate, now, &validity);
  if (distrust != pki::Distrust::kNone) return refuse(name + ": its certificate " + explain(distrust));
  if (revoked_.contains(certificate.serial())) return refuse(name + ": its certificate was revoked");
  auto parsed = parse_contact(document->text);
  if (!parsed.contact) return refuse(name + ": " + parsed.problem);
  auto& contact = *parsed.contact;
  if (contact.prefix != certificate.prefix())
    return refuse(name + " says that it is " + contact.prefix.to_string() +
                  "'s, which its certificate is not for");
  if (contact.expires <= now) return refuse(name + " has expired");
  if (contact.expires > now + Contact::kLongestLife)
    return refuse(name + " is to be good for longer than a week");
  opened.contact = std::make_shared<const SignedContact>(SignedContact{
      {der.begin(), der.end()}, std::move(contact), certificate.serial(), validity.from, validity.until});
  return opened;
}

SignedContact sign_contact(const Contact& contact, const pki::Certificate& certificate,
                           const pki::PrivateKey& key) {
  auto der = pki::sign(to_xml(contact), certificate, key);
  if (der.empty()) throw std::runtime_error("the contact cannot be signed: the key is not the certificate's");
  return {std::move(der), contact, certificate.serial()};
}

}  // namespace sixlink::mesh
