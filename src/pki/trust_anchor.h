// SPDX-License-Identifier: BSD-3-Clause
// Whom a node believes: the network's authorities, one or, while they change, several.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "src/pki/certificate.h"

struct x509_store_st;

namespace sixlink::pki {

enum class Distrust {
  kNone,         // it is good
  kForeign,      // no authority of the network signed it, or the signature is wrong
  kNotYetValid,  // its time has not come: a clock is wrong
  kExpired,
  kForeignPrefix,  // not inside of the prefix of its authority
  kUnfit,          // an authority's where a node's is wanted or the other way, or for other purposes
};
// "was not issued by this network's authority", to follow "the certificate".
const char* explain(Distrust distrust);

// Immutable; copies share it.
class TrustAnchor {
 public:
  static constexpr std::size_t kMostAuthorities = 8;

  // Those that are no authorities are left out.
  explicit TrustAnchor(std::vector<Certificate> authorities);

  const std::vector<Certificate>& authorities() const { return authorities_; }
  // Of a node's certificate at that time (the caller's clock). Who was revoked is not known here. `validity`:
  // where it is good, from when until when this stays so, with its authority's certificate.
  Distrust verify(const Certificate& node, WallTime now, Validity* validity = nullptr) const;
  // Of an authority's own, as signer of the network's parameters: one of these.
  Distrust verify_authority(const Certificate& authority, WallTime now) const;

 private:
  std::vector<Certificate> authorities_;
  std::shared_ptr<x509_store_st> store_;
};

}  // namespace sixlink::pki
