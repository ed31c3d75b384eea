// SPDX-License-Identifier: BSD-3-Clause
// Keys on P-256, and their files.
#include "src/pki/private_key.h"

#include <openssl/ec.h>
#include <openssl/pem.h>

#include <stdexcept>
#include <utility>

#include "src/config/directory.h"
#include "src/config/small_file.h"
#include "src/pki/openssl_types.h"

namespace sixlink::pki {
namespace {

constexpr std::size_t kLargestFile = 16384;

// An encrypted key would make OpenSSL ask on the terminal.
int refuse_password(char*, int, int, void*) {
  return -1;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

LoadedPrivateKey understand(const std::string& path, std::string text) {
  LoadedPrivateKey loaded;
  loaded.key = PrivateKey::parse(text);
  wipe(text);
  if (!loaded.key)
    loaded.problem =
        path +
        " holds no private key on P-256 without a password (PEM). Move the file away to have a new key made; "
        "a certificate that was issued to the old one is of no use then.";
  return loaded;
}

std::string cannot(const char* what, const std::string& path, const boost::system::error_code& error) {
  return "cannot " + std::string(what) + " the private key " + path + ": " + error.message();
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
  auto text = config::read_small_file(path, kLargestFile);
  if (text) return understand(path, *std::move(text));
  LoadedPrivateKey loaded;
  loaded.problem = cannot("read", path, text.error());
  return loaded;
}

LoadedPrivateKey load_or_make_private_key(const std::string& path) {
  auto text = config::read_small_file(path, kLargestFile);
  if (text) return understand(path, *std::move(text));
  LoadedPrivateKey loaded;
  if (text.error() != boost::system::errc::no_such_file_or_directory) {
    loaded.problem = cannot("read", path, text.error());
    return loaded;
  }
  const auto slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    if (const auto error = config::make_private_directory(path.substr(0, slash))) {
      loaded.problem = cannot("write", path, error);
      return loaded;
    }
  }
  auto key = PrivateKey::generate();
  const auto error = config::write_small_file(path, key.to_pem().reveal(), config::Existing::kKeep);
  // Another process of ours was quicker: its key counts.
  if (error == boost::system::errc::file_exists) return load_private_key(path);
  if (error) {
    loaded.problem = cannot("write", path, error);
    return loaded;
  }
  loaded.key = std::move(key);
  loaded.is_new = true;
  return loaded;
}

}  // namespace sixlink::pki
