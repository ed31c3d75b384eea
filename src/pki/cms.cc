// SPDX-License-Identifier: BSD-3-Clause
#include "src/pki/cms.h"

#include <memory>
#include <utility>

#include "src/pki/openssl_types.h"
#include "src/pki/private_key.h"

namespace sixlink::pki {
namespace {

using Cms = std::unique_ptr<CMS_ContentInfo, FreeWith<CMS_ContentInfo_free>>;
using Certificates =
    std::unique_ptr<STACK_OF(X509),
                    FreeWith<[](STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); }>>;

// Signed as it stands: nothing of it is text to be converted.
constexpr unsigned kFlags = CMS_BINARY | CMS_NOATTR | CMS_NOSMIMECAP;

// One signer with SHA-256, and no signed attributes: with them the signature would be that of another text,
// which could be passed off as this one.
bool has_one_plain_signer(CMS_ContentInfo* cms) {
  auto* const signers = CMS_get0_SignerInfos(cms);
  if (sk_CMS_SignerInfo_num(signers) != 1) return false;
  auto* const signer = sk_CMS_SignerInfo_value(signers, 0);
  X509_ALGOR* digest = nullptr;
  CMS_SignerInfo_get0_algs(signer, nullptr, nullptr, &digest, nullptr);
  const ASN1_OBJECT* algorithm = nullptr;
  X509_ALGOR_get0(&algorithm, nullptr, nullptr, digest);
  return CMS_signed_get_attr_count(signer) < 0 && OBJ_obj2nid(algorithm) == NID_sha256;
}

}  // namespace

std::vector<std::uint8_t> sign(std::string_view text, const Certificate& certificate, const PrivateKey& key) {
  if (!certificate.has_key_of(key)) return {};
  const ErrorScope errors;
  const auto input = read_only(text);
  const Bio output(BIO_new(BIO_s_mem()));
  const Cms cms(CMS_sign(certificate.native(), key.native(), nullptr, input.get(), kFlags));
  if (!cms || !output || i2d_CMS_bio(output.get(), cms.get()) != 1) return {};
  const auto der = contents(output);
  return {der.begin(), der.end()};
}

std::optional<SignedText> open_signed(std::span<const std::uint8_t> der) {
  if (der.empty() || der.size() > kLargestSigned) return std::nullopt;
  const ErrorScope errors;
  const auto* at = der.data();
  const Cms cms(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size())));
  if (!cms || at != der.data() + der.size() || OBJ_obj2nid(CMS_get0_type(cms.get())) != NID_pkcs7_signed ||
      OBJ_obj2nid(CMS_get0_eContentType(cms.get())) != NID_pkcs7_data || !has_one_plain_signer(cms.get()))
    return std::nullopt;
  const Certificates certificates(CMS_get1_certs(cms.get()));
  if (!certificates || sk_X509_num(certificates.get()) != 1) return std::nullopt;
  auto* const x509 = sk_X509_value(certificates.get(), 0);
  if (X509_up_ref(x509) != 1) return std::nullopt;
  auto signer = Certificate::adopt(x509);
  const Bio output(BIO_new(BIO_s_mem()));
  // Who the signer is, is TrustAnchor's matter.
  if (!signer || !output ||
      CMS_verify(cms.get(), nullptr, nullptr, nullptr, output.get(), kFlags | CMS_NO_SIGNER_CERT_VERIFY) != 1)
    return std::nullopt;
  return SignedText{std::string(contents(output)), *std::move(signer)};
}

}  // namespace sixlink::pki
