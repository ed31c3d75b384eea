// SPDX-License-Identifier: BSD-3-Clause
#include "src/pki/private_key.h"

#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "src/pki/openssl_types.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using pki::PrivateKey;

namespace {

std::string pem_of(EVP_PKEY* key, const EVP_CIPHER* cipher = nullptr) {
  const pki::Bio bio(BIO_new(BIO_s_mem()));
  char password[] = "secret";
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key, cipher, cipher ? password : nullptr, cipher ? 6 : 0, nullptr,
                                nullptr);
  EVP_PKEY_free(key);
  return std::string(pki::contents(bio));
}

}  // namespace

TEST_CASE("private key: survives its text") {
  const auto key = PrivateKey::generate();
  const auto pem = key.to_pem();
  const auto again = PrivateKey::parse(pem.reveal());
  REQUIRE(again);
  CHECK(EVP_PKEY_eq(key.native(), again->native()) == 1);
  CHECK(EVP_PKEY_eq(key.native(), PrivateKey::generate().native()) != 1);
}

TEST_CASE("private key: other kinds, encrypted ones and noise are none") {
  CHECK_FALSE(PrivateKey::parse(""));
  CHECK_FALSE(PrivateKey::parse("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
  CHECK_FALSE(PrivateKey::parse(pem_of(EVP_EC_gen("P-384"))));
  CHECK_FALSE(PrivateKey::parse(pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"))));
  CHECK_FALSE(PrivateKey::parse(pem_of(EVP_EC_gen("P-256"), EVP_aes_128_cbc())));
  const auto good = pem_of(EVP_EC_gen("P-256"));
  CHECK(PrivateKey::parse(good));
  CHECK_FALSE(PrivateKey::parse(good + good));
}

TEST_CASE("private key: is made once, and readable by its owner alone") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("state/node.key");
  const auto missing = pki::load_private_key(path);
  CHECK_FALSE(missing.key);
  CHECK(missing.problem.find(path) != std::string::npos);

  const auto made = pki::load_or_make_private_key(path);
  REQUIRE_MESSAGE(made.key, made.problem);
  CHECK(made.is_new);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  const auto again = pki::load_or_make_private_key(path);
  REQUIRE(again.key);
  CHECK_FALSE(again.is_new);
  CHECK(EVP_PKEY_eq(made.key->native(), again.key->native()) == 1);
}

TEST_CASE("private key: what is no key is not replaced") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("node.key");
  std::ofstream(path) << "something of value\n";
  const auto loaded = pki::load_or_make_private_key(path);
  CHECK_FALSE(loaded.key);
  CHECK(loaded.problem.find("holds no private key") != std::string::npos);
  CHECK(test::content_of(path) == "something of value\n");
}
