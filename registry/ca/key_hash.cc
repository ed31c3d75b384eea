// SPDX-License-Identifier: BSD-3-Clause
#include "registry/ca/key_hash.h"

#include <array>

#include "platform/platform.h"
#include "src/pki/openssl_types.h"

namespace sixlink::registry {
namespace {

constexpr std::size_t kTokenBytes = 20;
constexpr std::size_t kTokenLength = kTokenBytes * 8 / 5;
constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";

}  // namespace

std::string sha256_text(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) return {};
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 0xf];
  }
  return text;
}

std::string key_hash(const pki::CertificateRequest& request) {
  const pki::ErrorScope errors;
  auto* const key = X509_REQ_get_X509_PUBKEY(request.native());
  std::string der(static_cast<std::size_t>(std::max(0, i2d_X509_PUBKEY(key, nullptr))), '\0');
  auto* to = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509_PUBKEY(key, &to);
  return sha256_text(der);
}

std::vector<std::string> common_names(const pki::CertificateRequest& request) {
  const pki::ErrorScope errors;
  std::vector<std::string> names;
  const auto* subject = X509_REQ_get_subject_name(request.native());
  for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) {
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size < 0) continue;
    names.emplace_back(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
  }
  return names;
}

std::string make_token() {
  std::array<std::uint8_t, kTokenBytes> bytes;
  platform::random_bytes(bytes);
  std::string text;
  unsigned value = 0;
  int bits = 0;
  for (const auto byte : bytes) {
    value = (value << 8 | byte) & 0xffff;
    for (bits += 8; bits >= 5; bits -= 5) text += kAlphabet[(value >> (bits - 5)) & 31];
  }
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return text;
}

bool looks_like_token(std::string_view text) {
  return text.size() == kTokenLength && text.find_first_not_of(kAlphabet) == std::string_view::npos;
}

std::uint64_t make_serial() {
  std::uint64_t serial = 0;
  while (serial == 0) serial = platform::random_number() & INT64_MAX;
  return serial;
}

}  // namespace sixlink::registry
