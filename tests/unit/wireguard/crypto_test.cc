// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/crypto.h"

#include <doctest/doctest.h>

#include <string_view>

#include "tests/unit/wireguard/hex.h"

using namespace sixlink::wireguard;
using namespace sixlink::wireguard::test;

namespace {

Bytes text_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

constexpr std::string_view kSunscreen =
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen "
    "would be "
    "it.";

std::string dh_hex(Crypto& crypto, std::string_view scalar, std::string_view u) {
  const auto result = crypto.dh(key_from_hex(scalar), array_from_hex<32>(u));
  return result ? to_hex(result->reveal()) : "refused";
}

}  // namespace

TEST_CASE("wireguard crypto: X25519, RFC 7748 section 5.2") {
  Crypto crypto;
  CHECK(dh_hex(crypto, "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
               "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c") ==
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  CHECK(dh_hex(crypto, "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
               "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493") ==
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");

  std::string k = "0900000000000000000000000000000000000000000000000000000000000000";
  std::string u = k;
  for (int i = 0; i < 1000; ++i) {
    const auto next = dh_hex(crypto, k, u);
    u = k;
    k = next;
    if (i == 0) CHECK(k == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
  }
  CHECK(k == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST_CASE("wireguard crypto: Diffie-Hellman, RFC 7748 section 6.1") {
  Crypto crypto;
  const auto alice = key_from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const auto bob = key_from_hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  const auto alices = crypto.public_key(alice);
  const auto bobs = crypto.public_key(bob);
  CHECK(to_hex(alices) == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  CHECK(to_hex(bobs) == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  CHECK(to_hex(crypto.dh(alice, bobs)->reveal()) ==
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  CHECK(to_hex(crypto.dh(bob, alices)->reveal()) ==
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

TEST_CASE("wireguard crypto: keys of low order are refused") {
  Crypto crypto;
  const auto own = key_from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  for (const char* point : {"0000000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000000",
                            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    CAPTURE(point);
    auto key = array_from_hex<32>(point);
    CHECK_FALSE(crypto.dh(own, key));
    CHECK(is_low_order(key));
    key[31] |= 0x80;  // is not looked at
    CHECK_FALSE(crypto.dh(own, key));
    CHECK(is_low_order(key));
  }
  // Their neighbours are not.
  for (const char* point : {"0200000000000000000000000000000000000000000000000000000000000000",
                            "e1eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                            "ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "efffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    CAPTURE(point);
    CHECK(crypto.dh(own, array_from_hex<32>(point)));
    CHECK_FALSE(is_low_order(array_from_hex<32>(point)));
  }
  CHECK(
      crypto.dh(own, array_from_hex<32>("0900000000000000000000000000000000000000000000000000000000000000")));
}

TEST_CASE("wireguard crypto: BLAKE2s, RFC 7693 appendix B, and its keyed form") {
  Crypto crypto;
  CHECK(to_hex(crypto.hash({text_bytes("abc")})) ==
        "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
  CHECK(to_hex(crypto.hash({text_bytes("a"), {}, text_bytes("bc")})) ==
        "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
  CHECK(to_hex(crypto.hash({})) == "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9");
  // From Python's hashlib.blake2s(..., key=..., digest_size=16).
  const auto key = from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  CHECK(to_hex(crypto.mac(key, text_bytes("abc"))) == "61ba5f165c194692e09d12520cc4c74a");
  CHECK(to_hex(crypto.mac(Bytes(key).first(16), text_bytes("abc"))) == "75296c2d2c0f51210b383f386bc8b1ff");
  CHECK(to_hex(crypto.mac(key, {})) == "9536f9b267655743dee97b8a670f9f53");
}

TEST_CASE("wireguard crypto: HMAC and HKDF over BLAKE2s") {
  // From Python's hmac with hashlib.blake2s.
  Crypto crypto;
  const auto key = from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  const std::vector<std::uint8_t> long_key(100, 0xaa);
  CHECK(to_hex(crypto.hmac(key, {text_bytes("what do ya want "), text_bytes("for nothing?")})) ==
        "14229dde9cdbd4dd31b1a703ac36832ecc9177e0ba0d4632568515aaec7e401f");
  CHECK(to_hex(crypto.hmac(long_key, {text_bytes("larger than a block")})) ==
        "95f7f8858e62c67c3932272b090c0b5629baddce966afebe0a27d9b8cfd35760");
  SecretKey first;
  SecretKey second;
  SecretKey third;
  crypto.kdf(array_from_hex<32>("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
             text_bytes("input"), {&first, &second, &third});
  CHECK(to_hex(first.reveal()) == "87b7f70b24183c6db5dc4f6d9f4c47cdb203321aa2a0bef714896adb3107a040");
  CHECK(to_hex(second.reveal()) == "538a02e1eb2e31b7e4d4b82476d1fe2acf50085d3fb584537279195f5d1f5824");
  CHECK(to_hex(third.reveal()) == "9ad858025593be88de0f9442a589cfe84a88dc19e4753d93684d1c5efc4837f9");
}

TEST_CASE("wireguard crypto: ChaCha20-Poly1305, RFC 8439 appendix A.5") {
  Crypto crypto;
  const auto key = key_from_hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
  constexpr std::uint64_t kCounter = 0x0807060504030201;  // the nonce 000000000102030405060708
  const auto associated = from_hex("f33388860000000000004e91");
  const auto sealed = from_hex(
      "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0"
      "bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
      "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9"
      "9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
      "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130"
      "305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38");
  constexpr std::string_view kText =
      "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, "
      "or "
      "obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference "
      "material or "
      "to cite them other than as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
  std::vector<std::uint8_t> made(kText.size() + kTagSize);
  crypto.seal(key, kCounter, associated, text_bytes(kText), made);
  CHECK(to_hex(made) == to_hex(sealed));

  std::vector<std::uint8_t> opened(kText.size());
  REQUIRE(crypto.open(key, kCounter, associated, sealed, opened));
  CHECK(std::string(opened.begin(), opened.end()) == kText);
  CHECK_FALSE(crypto.open(key, kCounter + 1, associated, sealed, opened));
  CHECK_FALSE(crypto.open(key, kCounter, {}, sealed, opened));
  CHECK_FALSE(crypto.open(key, kCounter, associated, Bytes(sealed).first(15), opened));
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto changed = sealed;
    changed[i] ^= 0x10;
    CHECK_FALSE(crypto.open(key, kCounter, associated, changed, opened));
  }
  CHECK(crypto.open(key, kCounter, associated, sealed, opened));
}

TEST_CASE("wireguard crypto: HChaCha20 and XChaCha20-Poly1305, draft-irtf-cfrg-xchacha-03") {
  Crypto crypto;
  CHECK(to_hex(crypto
                   .hchacha20(
                       array_from_hex<32>("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
                       array_from_hex<16>("000000090000004a0000000031415927"))
                   .reveal()) == "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc");

  const auto key = array_from_hex<32>("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const auto nonce = array_from_hex<24>("404142434445464748494a4b4c4d4e4f5051525354555657");
  const auto associated = from_hex("50515253c0c1c2c3c4c5c6c7");
  std::vector<std::uint8_t> sealed(kSunscreen.size() + kTagSize);
  crypto.xseal(key, nonce, associated, text_bytes(kSunscreen), sealed);
  CHECK(to_hex(sealed) ==
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39"
        "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
        "21f9664c97637da9768812f615c68b13b52e"
        "c0875924c1c7987947deafd8780acf49");
  std::vector<std::uint8_t> opened(kSunscreen.size());
  REQUIRE(crypto.xopen(key, nonce, associated, sealed, opened));
  CHECK(std::string(opened.begin(), opened.end()) == kSunscreen);
  sealed[0] ^= 1;
  CHECK_FALSE(crypto.xopen(key, nonce, associated, sealed, opened));
}
