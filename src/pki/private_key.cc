// SPDX-License-Identifier: BSD-3-Clause
// Keys on P-256, and their files.
#include "src/pki/private_key.h"

#include <openssl/ec.h>
#include <openssl/pem.h>

#include <stdexcept>
#include <utility>

#include "src/pki/key_file.h"
#include "src/pki/openssl_types.h"

namespace sixlink::pki {
namespace {

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

KeyFile file_of(LoadedPrivateKey& loaded) {
  return {
      "the private key",
      "holds no private key on P-256 without a password (PEM). Move the file away to have a new key made; "
      "a certificate that was issued to the old one is of no use then.",
      "OpenSSL cannot make a key on P-256",
      [&loaded](std::string_view text) {
        loaded.key = PrivateKey::parse(text);
        return loaded.key.has_value();
      },
      [&loaded] {
        loaded.key = PrivateKey::generate();
        return loaded.key->to_pem();
      }};
}

template <typename Load>
LoadedPrivateKey load(const std::string& path, Load load_file) {
  LoadedPrivateKey loaded;
  auto result = load_file(path, file_of(loaded));
  if (!result.problem.empty()) loaded.key.reset();
  loaded.problem = std::move(result.problem);
  loaded.is_new = result.is_new;
  return loaded;
}

}  // namespace

void PrivateKey::Free::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}

PrivateKey PrivateKey::generate() {
  const ErrorScope errors;
  auto* key = EVP_EC_gen(SN_X9_62_prime256v1);
  if (!key) throw std::runtime_error("OpenSSL cannot make a key on P-256");
  return PrivateKey(key);
}

std::optional<PrivateKey> PrivateKey::parse(std::string_view pem) {
  const ErrorScope errors;
  const auto bio = read_only(pem);
  if (!bio) return std::nullopt;
  PrivateKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_password, nullptr));
  if (!key.key_ || !is_on_p256(key.native()) || !is_blank(contents(bio))) return std::nullopt;
  return key;
}

Secret PrivateKey::to_pem() const {
  const ErrorScope errors;
  const Bio bio(BIO_new(BIO_s_secmem()));
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), native(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    throw std::runtime_error("OpenSSL cannot write a private key");
  return Secret(contents(bio));
}

LoadedPrivateKey load_private_key(const std::string& path) {
  return load(path, load_key_file);
}

LoadedPrivateKey load_or_make_private_key(const std::string& path) {
  return load(path, load_or_make_key_file);
}

}  // namespace sixlink::pki
