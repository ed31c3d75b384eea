// SPDX-License-Identifier: BSD-3-Clause
// Whether a server is the registry: RFC 5280 section 6, RFC 6125 (names), for chains of one or two.
#include "src/client/registry_trust.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <optional>

#include "src/client/mesh_identity.h"
#include "src/pki/openssl_types.h"

namespace sixlink::client {
namespace {

using Store = std::unique_ptr<X509_STORE, pki::FreeWith<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, pki::FreeWith<X509_STORE_CTX_free>>;

std::optional<pki::Certificate> copy_of(X509* x509) {
  if (!x509 || X509_up_ref(x509) != 1) return std::nullopt;
  return pki::Certificate::adopt(x509);
}

// The subject is not looked at: a node chooses its own.
bool is_for_host(X509* leaf, const std::string& host) {
  boost::system::error_code not_an_address;
  boost::asio::ip::make_address(host, not_an_address);
  if (!not_an_address) return X509_check_ip_asc(leaf, host.c_str(), 0) == 1;
  return X509_check_host(leaf, host.data(), host.size(),
                         X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                         nullptr) == 1;
}

// OpenSSL's error; X509_V_OK.
int verify(X509* leaf, const std::vector<pki::Certificate>& anchors, pki::WallTime now) {
  const Store store(X509_STORE_new());
  const StoreContext context(X509_STORE_CTX_new());
  if (!store || !context) return X509_V_ERR_OUT_OF_MEM;
  for (const auto& anchor : anchors) X509_STORE_add_cert(store.get(), anchor.native());
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf, nullptr) != 1) return X509_V_ERR_UNSPECIFIED;
  auto* const parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(now));
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_depth(parameters, 0);
  X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
  if (X509_verify_cert(context.get()) == 1) return X509_V_OK;
  const int error = X509_STORE_CTX_get_error(context.get());
  return error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error;
}

}  // namespace

bool RegistryTrust::accepts(X509_STORE_CTX* context, pki::WallTime now) {
  const pki::ErrorScope errors;
  problem_ = verdict(context, now);
  return problem_.empty();
}

std::string RegistryTrust::verdict(X509_STORE_CTX* context, pki::WallTime now) {
  X509* const leaf = X509_STORE_CTX_get0_cert(context);
  const auto* chain = X509_STORE_CTX_get0_untrusted(context);
  if (!leaf) return fmt::format("{} shows no certificate: it is no registry", url_);
  shown_.clear();
  const auto show = [&](X509* one) {
    const auto certificate = copy_of(one);
    if (certificate && certificate->is_authority() && shown_.size() < kMostAuthorities &&
        std::ranges::find(shown_, *certificate) == shown_.end())
      shown_.push_back(*certificate);
  };
  show(leaf);
  for (int at = 0; at < sk_X509_num(chain) && at < 16; ++at) show(sk_X509_value(chain, at));

  std::vector<pki::Certificate> anchors;
  if (!ca_path_.empty()) {
    auto loaded = load_authorities(ca_path_);
    if (loaded.authorities.empty()) return loaded.problem + "; run sixlink join again";
    anchors = std::move(loaded.authorities);
  } else if (!fingerprint_.empty()) {
    std::ranges::copy_if(shown_, std::back_inserter(anchors),
                         [&](const auto& one) { return one.fingerprint() == fingerprint_; });
    if (anchors.empty()) {
      return fmt::format(
          "{} is not the registry that was expected: its authority's fingerprint is {}, not {}. Somebody may "
          "stand between this machine and the registry, or the fingerprint is another network's: ask who "
          "gave "
          "it to you. Nothing was sent",
          url_, shown_.empty() ? "not shown" : shown_.front().fingerprint(), fingerprint_);
    }
  } else {
    return {};
  }

  const auto own =
      std::ranges::find_if(anchors, [&](const auto& one) { return X509_cmp(one.native(), leaf) == 0; });
  const bool is_own = own != anchors.end();
  int error = X509_V_OK;
  if (!is_own) {
    error = verify(leaf, anchors, now);
  } else if (now < own->not_before()) {
    error = X509_V_ERR_CERT_NOT_YET_VALID;
  } else if (now > own->not_after()) {
    error = X509_V_ERR_CERT_HAS_EXPIRED;
  }
  if (error == X509_V_ERR_CERT_NOT_YET_VALID || error == X509_V_ERR_CERT_HAS_EXPIRED) {
    return fmt::format(
        "the certificate of {} {}, by this machine's clock, which says {}: set the clock, or "
        "tell the registry's administrator",
        url_, error == X509_V_ERR_CERT_HAS_EXPIRED ? "has expired" : "is not valid yet", utc_time(now));
  }
  if (error != X509_V_OK) {
    return fmt::format(
        "{} is not this mesh's registry: its certificate was not issued by the mesh's authority ({}: {}). "
        "Somebody may stand between this machine and the registry, or the URL is another network's",
        url_, anchors.front().fingerprint(), X509_verify_cert_error_string(error));
  }
  if (!is_own && !is_for_host(leaf, host_)) {
    return fmt::format(
        "the certificate of {} is good, but not for the name {}: use the URL that the registry's "
        "administrator gave you",
        url_, host_);
  }
  return {};
}

}  // namespace sixlink::client
