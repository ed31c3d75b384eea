// SPDX-License-Identifier: BSD-3-Clause
// Chains of two certificates: RFC 5280 section 6, RFC 3779 section 2.3.
#include "src/pki/trust_anchor.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "src/pki/openssl_types.h"

namespace sixlink::pki {
namespace {

using StoreContext = std::unique_ptr<X509_STORE_CTX, FreeWith<X509_STORE_CTX_free>>;

Distrust reason_of(int error) {
  switch (error) {
    case X509_V_OK:
      return Distrust::kNone;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Distrust::kNotYetValid;
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Distrust::kExpired;
    case X509_V_ERR_UNNESTED_RESOURCE:
      return Distrust::kForeignPrefix;
    case X509_V_ERR_INVALID_PURPOSE:
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
      return Distrust::kUnfit;
    default:
      return Distrust::kForeign;
  }
}

Distrust check_time(const Certificate& certificate, WallTime now) {
  if (now < certificate.not_before()) return Distrust::kNotYetValid;
  return now > certificate.not_after() ? Distrust::kExpired : Distrust::kNone;
}

}  // namespace

const char* explain(Distrust distrust) {
  switch (distrust) {
    case Distrust::kNone:
      return "is good";
    case Distrust::kForeign:
      return "was not issued by this network's authority";
    case Distrust::kNotYetValid:
      return "is not valid yet: one of the clocks is wrong";
    case Distrust::kExpired:
      return "has expired";
    case Distrust::kForeignPrefix:
      return "has a prefix that is not the network's";
    case Distrust::kUnfit:
      return "is not made for this purpose";
  }
  return "is not good";
}

TrustAnchor::TrustAnchor(std::vector<Certificate> authorities)
    : authorities_(std::move(authorities)), store_(X509_STORE_new(), X509_STORE_free) {
  if (!store_) throw std::runtime_error("out of memory");
  std::erase_if(authorities_, [](const Certificate& one) { return !one.is_authority(); });
  if (authorities_.size() > kMostAuthorities)
    authorities_.erase(authorities_.begin() + kMostAuthorities, authorities_.end());
  const ErrorScope errors;
  for (const auto& authority : authorities_) X509_STORE_add_cert(store_.get(), authority.native());
}

Distrust TrustAnchor::verify(const Certificate& node, WallTime now, Validity* validity) const {
  if (node.is_authority()) return Distrust::kUnfit;
  const ErrorScope errors;
  const StoreContext context(X509_STORE_CTX_new());
  if (!context || X509_STORE_CTX_init(context.get(), store_.get(), node.native(), nullptr) != 1)
    return Distrust::kForeign;
  auto* const parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(now));
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_depth(parameters, 0);
  X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_CLIENT);
  if (X509_verify_cert(context.get()) != 1) {
    const auto reason = reason_of(X509_STORE_CTX_get_error(context.get()));
    return reason == Distrust::kNone ? Distrust::kForeign : reason;
  }
  // Not left to how OpenSSL was built: the prefix is what a node may announce.
  const auto* chain = X509_STORE_CTX_get0_chain(context.get());
  auto* const signer = sk_X509_value(chain, sk_X509_num(chain) - 1);
  const auto found = std::ranges::find_if(
      authorities_, [&](const Certificate& one) { return X509_cmp(one.native(), signer) == 0; });
  if (found == authorities_.end()) return Distrust::kForeign;
  if (!found->prefix().contains(node.prefix()) || found->prefix() == node.prefix())
    return Distrust::kForeignPrefix;
  if (validity) {
    *validity = {std::max(node.not_before(), found->not_before()),
                 std::min(node.not_after(), found->not_after())};
  }
  return Distrust::kNone;
}

Distrust TrustAnchor::verify_authority(const Certificate& authority, WallTime now) const {
  if (std::ranges::find(authorities_, authority) == authorities_.end()) return Distrust::kForeign;
  return check_time(authority, now);
}

}  // namespace sixlink::pki
