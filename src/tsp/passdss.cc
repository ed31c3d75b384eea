// SPDX-License-Identifier: BSD-3-Clause
// SASL PASSDSS-3DES-1 as deployed TSP clients and servers speak it.
#include "src/tsp/passdss.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <stdexcept>

#include "src/tsp/digest_md5.h"

namespace sixlink::tsp {
namespace {

// The draft: no security layer, hence no buffer.
constexpr std::string_view kNoLayer("\1\0\0\0", 4);
constexpr std::size_t kBlock = 8;
constexpr std::size_t kGroupBytes = 128;
// Twice what the group's strength asks for (RFC 3526 section 8: 160 bits), and quicker than 1024.
constexpr std::size_t kExponentBytes = 40;
// string, three numbers of 3072 bits, q.
constexpr std::size_t kLongestKey = 4 + 7 + 3 * (4 + 384) + 4 + 32;

std::string_view view(const Sha1& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

const unsigned char* octets(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

Sha1 sha1(std::initializer_list<std::string_view> parts) {
  Sha1 digest{};
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  bool ok = context && EVP_DigestInit_ex(context.get(), EVP_sha1(), nullptr) == 1;
  for (const auto part : parts) ok = ok && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  unsigned size = 0;
  ok = ok && EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1 && size == digest.size();
  if (!ok) throw std::runtime_error("OpenSSL offers no SHA-1; PASSDSS-3DES-1 cannot work");
  return digest;
}

// The first `size` octets of a digest that is secret.
pki::Secret take(Sha1 digest, std::size_t size = Sha1{}.size()) {
  pki::Secret secret(view(digest).substr(0, size));
  OPENSSL_cleanse(digest.data(), digest.size());
  return secret;
}

const BIGNUM& group() {
  static const Number prime(BN_get_rfc2409_prime_1024(nullptr));
  if (!prime) throw std::bad_alloc();
  return *prime;
}

// 1 < value < p - 1: 0, 1 and p - 1 would make the shared secret one that everybody knows.
bool is_public_value(const BIGNUM& value) {
  const auto last = make_number();
  if (BN_sub(last.get(), &group(), BN_value_one()) != 1) throw std::bad_alloc();
  return BN_cmp(&value, BN_value_one()) > 0 && BN_cmp(&value, last.get()) < 0;
}

// base^exponent in the group, in a time that does not tell the exponent.
Number power(const BIGNUM& base, const BIGNUM& exponent) {
  auto result = make_number();
  const NumberContext context(BN_CTX_secure_new());
  if (!context || BN_mod_exp(result.get(), &base, &exponent, &group(), context.get()) != 1)
    throw std::runtime_error("OpenSSL cannot compute a Diffie-Hellman value");
  return result;
}

Number public_value(const BIGNUM& exponent) {
  const auto two = make_number();
  if (BN_set_word(two.get(), 2) != 1) throw std::bad_alloc();
  return power(*two, exponent);
}

Number secret_number(const pki::Secret& magnitude) {
  auto number = number_of(magnitude.reveal());
  BN_set_flags(number.get(), BN_FLG_CONSTTIME);
  return number;
}

// 3DES-CBC; nullopt: the padding is wrong, or OpenSSL has no 3DES. The result is wiped by the caller.
enum class Padding { kPkcs5, kNone };
std::optional<std::string> triple_des(bool encrypt, const PassDssKeys& keys, std::string_view input,
                                      Padding padding) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                &EVP_CIPHER_CTX_free);
  std::string output(input.size() + kBlock, '\0');
  auto* out = reinterpret_cast<unsigned char*>(output.data());
  int size = 0;
  int rest = 0;
  const bool ok =
      context &&
      EVP_CipherInit_ex(context.get(), EVP_des_ede3_cbc(), nullptr, octets(keys.key()), octets(keys.iv()),
                        encrypt ? 1 : 0) == 1 &&
      EVP_CIPHER_CTX_set_padding(context.get(), padding == Padding::kPkcs5 ? 1 : 0) == 1 &&
      EVP_CipherUpdate(context.get(), out, &size, octets(input), static_cast<int>(input.size())) == 1 &&
      EVP_CipherFinal_ex(context.get(), out + size, &rest) == 1;
  if (!ok) {
    pki::wipe(output);
    return std::nullopt;
  }
  output.resize(static_cast<std::size_t>(size) + static_cast<std::size_t>(rest));
  return output;
}

std::size_t base64_size(std::size_t bytes) {
  return (bytes + 2) / 3 * 4;
}

// What can be decoded of a message's start, at most `most` octets. What follows the message, which may be the
// next one, does not disturb.
struct Start {
  std::string bytes;
  bool is_whole = false;  // no more of it can come
};
Start decode_start(std::string_view text, std::size_t most) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto clean = std::min(text.find_first_not_of(kAlphabet), text.size());
  auto size = clean / 4 * 4;
  Start start;
  start.is_whole = clean < text.size();
  if (start.is_whole && text[clean] == '=') {
    if (text.size() < size + 4) {
      start.is_whole = false;  // the rest of the padding
    } else {
      size += 4;
    }
  }
  size = std::min(size, base64_size(most));
  if (size != 0) start.bytes = base64_decode(text.substr(0, size)).value_or("");
  return start;
}

}  // namespace

pki::Secret random_exponent() {
  std::array<unsigned char, kExponentBytes> bytes;
  if (RAND_priv_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    throw std::runtime_error("OpenSSL has no randomness");
  bytes[0] |= 0x80;  // never short
  pki::Secret exponent({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return exponent;
}

PassDssKeys::PassDssKeys(const BIGNUM& shared, std::string_view h0) {
  std::string k;
  k.reserve(4 + kGroupBytes);  // no copy is left behind by growing
  auto magnitude = magnitude_of(&shared);
  append_string(k, magnitude);
  pki::wipe(magnitude);
  hash_ = sha1({h0, k});
  iv_ = take(sha1({k, "A", view(hash_)}), kBlock);
  const auto first = take(sha1({k, "C", view(hash_)}));
  const auto second = take(sha1({k, first.reveal()}), 4);
  std::string key;
  key.reserve(24);
  key += first.reveal();
  key += second.reveal();
  key_ = pki::Secret(key);
  mac_key_ = take(sha1({k, "E", view(hash_)}));
  pki::wipe(key);
  pki::wipe(k);
}

std::string PassDssKeys::mac(std::string_view h0, std::string_view mask) const {
  Sha1 digest{};
  std::size_t size = 0;
  const std::string message = std::string(h0) + std::string(mask);
  const auto key = mac_key_.reveal();
  if (!EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA1", nullptr, key.data(), key.size(), octets(message),
                 message.size(), digest.data(), digest.size(), &size) ||
      size != digest.size()) {
    throw std::runtime_error("OpenSSL offers no HMAC-SHA1; PASSDSS-3DES-1 cannot work");
  }
  return std::string(view(digest));
}

PassDssClient::PassDssClient(std::string_view user, const pki::Secret& exponent)
    : exponent_(secret_number(exponent)) {
  append_string(hello_, "");
  append_string(hello_, user);
  append_string(hello_, magnitude_of(public_value(*exponent_).get()));
}

std::string PassDssClient::hello() const {
  return base64_encode(hello_);
}

std::string_view PassDssClient::on_challenge(std::string_view message) {
  constexpr std::string_view kMalformed = "is malformed";
  const auto text = base64_decode(message);
  if (!text) return kMalformed;
  WireReader reader(*text);
  const auto key = reader.string(kLongestKey);
  const auto y = key ? reader.mpint(kGroupBytes) : std::nullopt;
  const auto layer = y ? reader.bytes(kNoLayer.size()) : std::nullopt;
  if (!layer) return kMalformed;
  const std::size_t hashed = text->size() - reader.rest().size();
  const auto signature = reader.string(kLongestKey);
  if (!signature || !reader.is_at_end()) return kMalformed;
  WireReader parts(*signature);
  const auto type = parts.string(kHostKeyType.size());
  const auto r = type ? parts.mpint(32) : std::nullopt;
  const auto s = r ? parts.mpint(32) : std::nullopt;
  if (!s || *type != kHostKeyType || !parts.is_at_end()) return kMalformed;
  if ((layer->front() & 1) == 0) return "asks for an encrypted session after the login, which TSP has not";
  const auto value = number_of(*y);
  if (!is_public_value(*value)) return "has a Diffie-Hellman value that is not allowed";
  if (!is_host_key(*key)) return "has a host key that cannot be used";
  h0_ = hello_ + text->substr(0, hashed);
  PassDssKeys keys(*power(*value, *exponent_), h0_);
  if (!is_signed_by(*key, keys.hash(), {std::string(*r), std::string(*s)}))
    return "has a signature that is wrong";
  host_key_ = *key;
  keys_ = std::move(keys);
  return {};
}

std::string PassDssClient::answer(std::string_view password) const {
  std::string plain;
  plain.reserve(kNoLayer.size() + 4 + password.size() + Sha1{}.size());
  plain += kNoLayer;
  append_string(plain, password);
  plain += keys_->mac(h0_, kNoLayer);
  const auto cipher = triple_des(true, *keys_, plain, Padding::kPkcs5);
  pki::wipe(plain);
  if (!cipher) throw std::runtime_error("OpenSSL offers no 3DES; PASSDSS-3DES-1 cannot work");
  return base64_encode(*cipher);
}

PassDssServer::PassDssServer(const HostKey& key, const pki::Secret& exponent)
    : host_key_(key), exponent_(secret_number(exponent)) {}

std::optional<std::string> PassDssServer::on_hello(std::string_view message) {
  const auto hello = base64_decode(message);
  if (!hello) return std::nullopt;
  WireReader reader(*hello);
  const auto authorization = reader.string(kLongestUser);
  const auto user = authorization ? reader.string(kLongestUser) : std::nullopt;
  const auto x = user ? reader.mpint(kGroupBytes) : std::nullopt;
  if (!x || !reader.is_at_end() || user->empty()) return std::nullopt;
  // To act for another identity is not offered.
  if (!authorization->empty() && *authorization != *user) return std::nullopt;
  const auto value = number_of(*x);
  if (!is_public_value(*value)) return std::nullopt;
  user_ = *user;

  std::string reply;
  append_string(reply, host_key_.blob());
  append_string(reply, magnitude_of(public_value(*exponent_).get()));
  reply += kNoLayer;
  h0_ = *hello + reply;
  keys_.emplace(*power(*value, *exponent_), h0_);
  const auto pair = host_key_.sign(keys_->hash());
  if (!pair) throw std::runtime_error("OpenSSL cannot sign with the host key");
  std::string signature;
  append_string(signature, kHostKeyType);
  append_string(signature, pair->r);
  append_string(signature, pair->s);
  append_string(reply, signature);
  return base64_encode(reply) + "\r\n";
}

std::optional<pki::Secret> PassDssServer::on_answer(std::string_view message) const {
  const auto cipher = base64_decode(message);
  if (!keys_ || !cipher || cipher->empty() || cipher->size() % kBlock != 0) return std::nullopt;
  auto plain = triple_des(false, *keys_, *cipher, Padding::kPkcs5);
  if (!plain) return std::nullopt;
  std::optional<pki::Secret> result;
  WireReader reader(*plain);
  const auto layer = reader.bytes(kNoLayer.size());
  const auto password = layer ? reader.string(kLongestPassword) : std::nullopt;
  if (password && *layer == kNoLayer && pki::equal_constant_time(reader.rest(), keys_->mac(h0_, kNoLayer))) {
    result.emplace(*password);
  }
  pki::wipe(*plain);
  return result;
}

Extent PassDssServer::measure_hello(std::string_view text) {
  constexpr Extent kBad{Extent::State::kBad, 0};
  const auto start = decode_start(text, 4 + kLongestUser + 4 + kLongestUser + 4);
  // Where the length of the next part stands.
  std::size_t at = 0;
  for (const std::size_t longest : {kLongestUser, kLongestUser, kGroupBytes}) {
    if (start.bytes.size() < at + 4) return start.is_whole ? kBad : Extent{};
    const auto size = *WireReader(std::string_view(start.bytes).substr(at)).uint32();
    if (size > longest) return kBad;
    at += 4 + size;
  }
  return text.size() < base64_size(at) ? Extent{} : Extent{Extent::State::kComplete, base64_size(at)};
}

Extent PassDssServer::measure_answer(std::string_view text) const {
  constexpr Extent kBad{Extent::State::kBad, 0};
  const auto start = decode_start(text, kBlock);
  if (!keys_) return kBad;
  if (start.bytes.size() < kBlock) return start.is_whole ? kBad : Extent{};
  // The first block tells the password's length.
  auto block = triple_des(false, *keys_, std::string_view(start.bytes).substr(0, kBlock), Padding::kNone);
  if (!block) return kBad;
  WireReader reader(*block);
  const auto layer = reader.bytes(kNoLayer.size());
  const auto length = reader.uint32();
  const bool is_ours = layer == kNoLayer && length && *length <= kLongestPassword;
  pki::wipe(*block);
  if (!is_ours) return kBad;
  const auto size = base64_size((kBlock + *length + Sha1{}.size()) / kBlock * kBlock + kBlock);
  return text.size() < size ? Extent{} : Extent{Extent::State::kComplete, size};
}

}  // namespace sixlink::tsp
