// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/crypto.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "src/wireguard/little_endian.h"

namespace sixlink::wireguard {
namespace {

constexpr std::size_t kBlakeBlock = 64;  // RFC 7693: bytes that BLAKE2s compresses at a time
constexpr std::size_t kNonceSize = 12;

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
template <typename T, auto kFree>
using Owned = std::unique_ptr<T, Freer<kFree>>;

using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedKeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(std::string("OpenSSL offers no ") + what +
                           " (a FIPS provider?); WireGuard cannot work");
}
void require(bool is_done, const char* what) {
  if (!is_done) fail(what);
}

using Nonce = std::array<std::uint8_t, kNonceSize>;
Nonce nonce_of(std::uint64_t counter) {
  Nonce nonce{};
  store_le<std::uint64_t>(nonce.data() + 4, counter);
  return nonce;
}

}  // namespace

struct Crypto::State {
  Owned<EVP_MD, EVP_MD_free> blake2s{EVP_MD_fetch(nullptr, "BLAKE2S-256", nullptr)};
  Owned<EVP_MD_CTX, EVP_MD_CTX_free> digest{EVP_MD_CTX_new()};
  Owned<EVP_MAC, EVP_MAC_free> keyed_blake2s{EVP_MAC_fetch(nullptr, "BLAKE2SMAC", nullptr)};
  Owned<EVP_MAC_CTX, EVP_MAC_CTX_free> mac{EVP_MAC_CTX_new(keyed_blake2s.get())};
  Owned<EVP_CIPHER, EVP_CIPHER_free> aead{EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr)};
  Owned<EVP_CIPHER, EVP_CIPHER_free> stream{EVP_CIPHER_fetch(nullptr, "ChaCha20", nullptr)};
  Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free> cipher{EVP_CIPHER_CTX_new()};
  OwnedKeyContext key_maker{EVP_PKEY_CTX_new_from_name(nullptr, "X25519", nullptr)};

  void start(Bytes first) {
    require(EVP_DigestInit_ex2(digest.get(), blake2s.get(), nullptr) == 1, "BLAKE2s");
    add(first);
  }
  void add(Bytes part) {
    require(part.empty() || EVP_DigestUpdate(digest.get(), part.data(), part.size()) == 1, "BLAKE2s");
  }
  void finish(std::span<std::uint8_t, 32> result) {
    require(EVP_DigestFinal_ex(digest.get(), result.data(), nullptr) == 1, "BLAKE2s");
  }
  void hmac(Bytes key, std::initializer_list<Bytes> parts, std::span<std::uint8_t, 32> result);
  void seal(const std::uint8_t* key, const Nonce& nonce, Bytes associated, Bytes text,
            std::span<std::uint8_t> output);
  bool open(const std::uint8_t* key, const Nonce& nonce, Bytes associated, Bytes sealed,
            std::span<std::uint8_t> output);
};

// RFC 2104. OpenSSL's own HMAC would be set up by name for each.
void Crypto::State::hmac(Bytes key, std::initializer_list<Bytes> parts, std::span<std::uint8_t, 32> result) {
  std::array<std::uint8_t, kBlakeBlock> pad{};
  std::copy(key.begin(), key.end(), pad.begin());  // keys here are of 32 bytes: no longer than a block
  for (auto& byte : pad) byte ^= 0x36;
  start(pad);
  for (const auto part : parts) add(part);
  std::array<std::uint8_t, 32> inner{};
  finish(inner);
  for (auto& byte : pad) byte ^= 0x36 ^ 0x5c;
  start(pad);
  add(inner);
  finish(result);
  OPENSSL_cleanse(pad.data(), pad.size());
  OPENSSL_cleanse(inner.data(), inner.size());
}

void Crypto::State::seal(const std::uint8_t* key, const Nonce& nonce, Bytes associated, Bytes text,
                         std::span<std::uint8_t> output) {
  int written = 0;
  auto* const context = cipher.get();
  bool is_done = output.size() >= text.size() + kTagSize &&
                 EVP_EncryptInit_ex2(context, aead.get(), key, nonce.data(), nullptr) == 1;
  if (!associated.empty())
    is_done = is_done && EVP_EncryptUpdate(context, nullptr, &written, associated.data(),
                                           static_cast<int>(associated.size())) == 1;
  if (!text.empty())
    is_done = is_done && EVP_EncryptUpdate(context, output.data(), &written, text.data(),
                                           static_cast<int>(text.size())) == 1;
  is_done = is_done && EVP_EncryptFinal_ex(context, output.data() + text.size(), &written) == 1 &&
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagSize, output.data() + text.size()) == 1;
  EVP_CIPHER_CTX_reset(context);  // the key is of use once
  require(is_done, "ChaCha20-Poly1305");
}

bool Crypto::State::open(const std::uint8_t* key, const Nonce& nonce, Bytes associated, Bytes sealed,
                         std::span<std::uint8_t> output) {
  if (sealed.size() < kTagSize || output.size() < sealed.size() - kTagSize) return false;
  const auto text = sealed.first(sealed.size() - kTagSize);
  std::array<std::uint8_t, kTagSize> tag{};
  std::copy(sealed.end() - kTagSize, sealed.end(), tag.begin());
  int written = 0;
  auto* const context = cipher.get();
  require(EVP_DecryptInit_ex2(context, aead.get(), key, nonce.data(), nullptr) == 1 &&
              EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagSize, tag.data()) == 1,
          "ChaCha20-Poly1305");
  bool is_done = true;
  if (!associated.empty())
    is_done = EVP_DecryptUpdate(context, nullptr, &written, associated.data(),
                                static_cast<int>(associated.size())) == 1;
  if (!text.empty())
    is_done = is_done && EVP_DecryptUpdate(context, output.data(), &written, text.data(),
                                           static_cast<int>(text.size())) == 1;
  std::array<std::uint8_t, kTagSize> rest{};
  const bool is_genuine = is_done && EVP_DecryptFinal_ex(context, rest.data(), &written) == 1;
  EVP_CIPHER_CTX_reset(context);
  if (!is_genuine) OPENSSL_cleanse(output.data(), text.size());
  return is_genuine;
}

Crypto::Crypto() : state_(std::make_unique<State>()) {
  require(state_->blake2s && state_->digest, "BLAKE2s");
  require(state_->keyed_blake2s && state_->mac, "keyed BLAKE2s");
  require(state_->key_maker && EVP_PKEY_fromdata_init(state_->key_maker.get()) == 1, "X25519");
  require(state_->aead && state_->stream && state_->cipher, "ChaCha20-Poly1305");
}

Crypto::~Crypto() = default;

Hash Crypto::hash(std::initializer_list<Bytes> parts) {
  Hash result{};
  state_->start({});
  for (const auto part : parts) state_->add(part);
  state_->finish(result);
  return result;
}

Hash Crypto::hmac(std::span<const std::uint8_t> key, std::initializer_list<Bytes> parts) {
  Hash result{};
  if (key.size() > kBlakeBlock) {
    const auto shorter = hash({key});
    state_->hmac(shorter, parts, result);
  } else {
    state_->hmac(key, parts, result);
  }
  return result;
}

Mac Crypto::mac(Bytes key, Bytes input) {
  Mac result{};
  std::size_t size = result.size();
  const std::array<OSSL_PARAM, 2> parameters{OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                                             OSSL_PARAM_construct_end()};
  std::size_t written = 0;
  auto* const context = state_->mac.get();
  require(EVP_MAC_init(context, key.data(), key.size(), parameters.data()) == 1 &&
              EVP_MAC_update(context, input.data(), input.size()) == 1 &&
              EVP_MAC_final(context, result.data(), &written, result.size()) == 1 && written == result.size(),
          "keyed BLAKE2s");
  return result;
}

void Crypto::kdf(std::span<const std::uint8_t, 32> chaining_key, Bytes input,
                 std::initializer_list<SecretKey*> outputs) {
  SecretKey extracted;
  state_->hmac(chaining_key, {input}, extracted.writable());
  std::uint8_t number = 0;
  const SecretKey* last = nullptr;
  for (auto* const output : outputs) {
    ++number;
    const Bytes before = last ? Bytes(last->reveal()) : Bytes();
    state_->hmac(extracted.reveal(), {before, Bytes(&number, 1)}, output->writable());
    last = output;
  }
}

PublicKey Crypto::public_key(const SecretKey& private_key) {
  const OwnedKey key(
      EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, private_key.reveal().data(), kKeySize));
  PublicKey result{};
  std::size_t size = result.size();
  require(key && EVP_PKEY_get_raw_public_key(key.get(), result.data(), &size) == 1 && size == result.size(),
          "X25519");
  return result;
}

std::optional<SecretKey> Crypto::dh(const SecretKey& private_key, const PublicKey& public_key) {
  // Of a private key alone, OpenSSL would compute the public one, which costs as much as what follows and is
  // of no use for it: so it is given one, the base point.
  std::array<std::uint8_t, kKeySize> base{9};
  const std::array<OSSL_PARAM, 3> halves{
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY,
                                        const_cast<std::uint8_t*>(private_key.reveal().data()), kKeySize),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, base.data(), base.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* made = nullptr;
  require(EVP_PKEY_fromdata(state_->key_maker.get(), &made, EVP_PKEY_KEYPAIR,
                            const_cast<OSSL_PARAM*>(halves.data())) == 1,
          "X25519");
  const OwnedKey ours(made);
  const OwnedKey theirs(
      EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, public_key.data(), public_key.size()));
  require(ours && theirs, "X25519");
  const OwnedKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, ours.get(), nullptr));
  require(context && EVP_PKEY_derive_init(context.get()) == 1 &&
              EVP_PKEY_derive_set_peer_ex(context.get(), theirs.get(), 0) == 1,
          "X25519");
  SecretKey result;
  std::size_t size = kKeySize;
  // OpenSSL refuses a result of zeros; other implementations of the same interface may not.
  if (EVP_PKEY_derive(context.get(), result.writable().data(), &size) != 1 || size != kKeySize ||
      result.is_zero())
    return std::nullopt;
  return result;
}

void Crypto::seal(const SecretKey& key, std::uint64_t counter, Bytes associated, Bytes text,
                  std::span<std::uint8_t> output) {
  state_->seal(key.reveal().data(), nonce_of(counter), associated, text, output);
}

bool Crypto::open(const SecretKey& key, std::uint64_t counter, Bytes associated, Bytes sealed,
                  std::span<std::uint8_t> output) {
  return state_->open(key.reveal().data(), nonce_of(counter), associated, sealed, output);
}

SecretKey Crypto::hchacha20(std::span<const std::uint8_t, 32> key, std::span<const std::uint8_t, 16> nonce) {
  // OpenSSL's ChaCha20 takes the last four words of the initial state as its IV and adds the initial state to
  // what the rounds made (RFC 8439 section 2.3); HChaCha20 is the same without the addition, and of it words
  // 0 to 3 and 12 to 15.
  static constexpr std::array<std::uint32_t, 4> kConstants{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  std::array<std::uint8_t, 64> block{};
  int written = 0;
  auto* const context = state_->cipher.get();
  const bool is_done =
      EVP_EncryptInit_ex2(context, state_->stream.get(), key.data(), nonce.data(), nullptr) == 1 &&
      EVP_EncryptUpdate(context, block.data(), &written, block.data(), static_cast<int>(block.size())) == 1;
  EVP_CIPHER_CTX_reset(context);
  require(is_done, "ChaCha20");
  SecretKey result;
  for (std::size_t i = 0; i < 4; ++i) {
    store_le<std::uint32_t>(result.writable().data() + 4 * i,
                            load_le<std::uint32_t>(block.data() + 4 * i) - kConstants[i]);
    store_le<std::uint32_t>(
        result.writable().data() + 16 + 4 * i,
        load_le<std::uint32_t>(block.data() + 48 + 4 * i) - load_le<std::uint32_t>(nonce.data() + 4 * i));
  }
  OPENSSL_cleanse(block.data(), block.size());
  return result;
}

void Crypto::xseal(std::span<const std::uint8_t, 32> key, const Nonce24& nonce, Bytes associated, Bytes text,
                   std::span<std::uint8_t> output) {
  const auto derived = hchacha20(key, std::span(nonce).first<16>());
  Nonce rest{};
  std::copy(nonce.begin() + 16, nonce.end(), rest.begin() + 4);
  state_->seal(derived.reveal().data(), rest, associated, text, output);
}

bool Crypto::xopen(std::span<const std::uint8_t, 32> key, const Nonce24& nonce, Bytes associated,
                   Bytes sealed, std::span<std::uint8_t> output) {
  const auto derived = hchacha20(key, std::span(nonce).first<16>());
  Nonce rest{};
  std::copy(nonce.begin() + 16, nonce.end(), rest.begin() + 4);
  return state_->open(derived.reveal().data(), rest, associated, sealed, output);
}

bool is_low_order(const PublicKey& key) {
  // From the first byte on: 0, 1, the two points of order 8, p - 1, p and p + 1.
  static constexpr std::array<PublicKey, 4> kPoints{
      PublicKey{}, PublicKey{1}, PublicKey{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
                                           0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
                                           0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
      PublicKey{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
                0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
                0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57}};
  auto point = key;
  point[31] &= 0x7f;
  if (std::find(kPoints.begin(), kPoints.end(), point) != kPoints.end()) return true;
  const bool is_near_p = point[31] == 0x7f && std::all_of(point.begin() + 1, point.end() - 1,
                                                          [](std::uint8_t byte) { return byte == 0xff; });
  return is_near_p && point[0] >= 0xec && point[0] <= 0xee;
}

void clamp(SecretKey& key) {
  auto bytes = key.writable();
  bytes[0] &= 0xf8;
  bytes[31] = static_cast<std::uint8_t>((bytes[31] & 0x7f) | 0x40);
}

}  // namespace sixlink::wireguard
