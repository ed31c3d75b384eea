// SPDX-License-Identifier: BSD-3-Clause
// Owners of OpenSSL's objects, for the .cc files of this folder.
#pragma once

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sixlink::pki {

template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

using Bio = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using Pkey = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;
using X509NamePtr = std::unique_ptr<X509_NAME, FreeWith<X509_NAME_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>>;

// OpenSSL's list of errors is a thread's: what is left there would be found by who comes next, as by TLS.
class ErrorScope {
 public:
  ErrorScope() { ERR_clear_error(); }
  ErrorScope(const ErrorScope&) = delete;
  ErrorScope& operator=(const ErrorScope&) = delete;
  ~ErrorScope() { ERR_clear_error(); }
};

inline Bio read_only(std::span<const std::uint8_t> bytes) {
  return Bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}
inline Bio read_only(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// For all that reads PEM: an encrypted one would make OpenSSL ask on the terminal, also a server's for what
// a stranger sent.
inline int refuse_password(char*, int, int, void*) {
  return -1;
}

// What was written to a memory BIO. Wiped with the BIO where it is one of BIO_s_secmem().
inline std::string_view contents(const Bio& bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

// The only kind of key in certificates here. nullptr: no.
inline bool is_on_p256(const EVP_PKEY* key) {
  char group[32];
  std::size_t size = 0;
  return key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &size) == 1 &&
         std::string_view(group, size) == SN_X9_62_prime256v1;
}

}  // namespace sixlink::pki
