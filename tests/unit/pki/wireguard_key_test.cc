// SPDX-License-Identifier: BSD-3-Clause
#include "src/pki/wireguard_key.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::pki;
using namespace std::string_literals;

namespace {

// RFC 7748 section 6.1, Alice's, in base64.
constexpr std::string_view kPrivate = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
constexpr std::string_view kPublic = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

}  // namespace

TEST_CASE("wireguard key: RFC 7748's private key has RFC 7748's public key") {
  const auto pair = WireguardKeyPair::parse(kPrivate);
  REQUIRE(pair);
  CHECK(pair->public_key().to_string() == kPublic);
  CHECK(pair->private_text().reveal() == kPrivate);
  CHECK(pair->private_bytes().size() == 32);
  CHECK(WireguardKeyPair::parse(std::string(kPrivate) + "\r\n"));
}

TEST_CASE("wireguard key: only the one base64 form of 32 bytes is a key") {
  const std::string key(kPublic);
  REQUIRE(WireguardKey::parse(key));
  CHECK(WireguardKey::parse(key)->to_string() == key);
  for (const auto& bad :
       {""s, key + "\n", " " + key, key.substr(1), key.substr(0, 43), key + "=", key.substr(0, 43) + "A",
        key.substr(0, 42) + "==", key.substr(0, 20) + " " + key.substr(21),
        key.substr(0, 20) + "-" + key.substr(21), key.substr(0, 20) + "\0"s + key.substr(21),
        // A bit behind the last byte.
        key.substr(0, 42) + "p=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="s}) {
    CAPTURE(bad);
    CHECK_FALSE(WireguardKey::parse(bad));
    CHECK_FALSE(WireguardKeyPair::parse(bad == key + "\n" ? ""s : bad));
  }
  CHECK_FALSE(WireguardKey::from_bytes("short"));
  CHECK_FALSE(WireguardKey::from_bytes(std::string(32, '\0')));
}

TEST_CASE("wireguard key: two that were made differ, and are in the form that wg writes") {
  const auto one = WireguardKeyPair::generate();
  const auto other = WireguardKeyPair::generate();
  REQUIRE(one);
  REQUIRE(other);
  CHECK(one->public_key() != other->public_key());
  const auto bytes = one->private_bytes();
  CHECK((static_cast<unsigned char>(bytes[0]) & 7) == 0);
  CHECK((static_cast<unsigned char>(bytes[31]) & 0xc0) == 0x40);
  const auto again = WireguardKeyPair::parse(one->private_text().reveal());
  REQUIRE(again);
  CHECK(again->public_key() == one->public_key());
}

TEST_CASE("wireguard key: the file is made once, for this user only, and never replaced") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("wireguard.key");
  CHECK_FALSE(load_wireguard_key(path).pair);
  const auto made = load_or_make_wireguard_key(path);
  REQUIRE(made.pair);
  CHECK(made.is_new);
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(test::content_of(path).size() == 45);
  const auto found = load_or_make_wireguard_key(path);
  REQUIRE(found.pair);
  CHECK_FALSE(found.is_new);
  CHECK(found.pair->public_key() == made.pair->public_key());
  CHECK(load_wireguard_key(path).pair->public_key() == made.pair->public_key());

  std::ofstream(path) << "not a key\n";
  const auto bad = load_or_make_wireguard_key(path);
  CHECK_FALSE(bad.pair);
  CHECK(bad.problem.find(path) != std::string::npos);
  CHECK(test::content_of(path) == "not a key\n");
  // The directory is made too, where nothing stands in its way.
  CHECK(load_or_make_wireguard_key(directory.file("new/wireguard.key")).pair);
  CHECK(load_or_make_wireguard_key(path + "/below/a/file").problem.find("cannot read") == 0);
}
