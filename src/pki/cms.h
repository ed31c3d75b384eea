// SPDX-License-Identifier: BSD-3-Clause
// Signed documents: CMS SignedData (RFC 5652) in DER, with the text inside, one signer and its certificate,
// SHA-256 and ECDSA on P-256, without attributes: a node's contact is to fit in one or two datagrams.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "src/pki/certificate.h"
#include "src/pki/trust_anchor.h"

namespace sixlink::pki {

class PrivateKey;

inline constexpr std::size_t kLargestSigned = 65536;

// Empty: OpenSSL failed, or `key` is not the certificate's.
std::vector<std::uint8_t> sign(std::string_view text, const Certificate& certificate, const PrivateKey& key);

struct SignedText {
  std::string text;
  Certificate signer;  // whom nobody has verified yet: TrustAnchor
};
// nullopt: not such a document, longer than kLargestSigned, or the signature is not that of the certificate
// in it.
std::optional<SignedText> open_signed(std::span<const std::uint8_t> der);

}  // namespace sixlink::pki
