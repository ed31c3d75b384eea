// SPDX-License-Identifier: BSD-3-Clause
// WireGuard's keys outside of the protocol.
#include "src/pki/wireguard_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstring>
#include <memory>
#include <utility>

#include "platform/platform.h"
#include "src/pki/key_file.h"

namespace sixlink::pki {
namespace {

using Pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

const std::uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

std::string encode(std::string_view bytes) {
  // With the NUL that OpenSSL writes behind.
  std::string text(WireguardKey::kTextSize + 1, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes_of(bytes),
                  static_cast<int>(bytes.size()));
  text.pop_back();
  return text;
}

// Empty: not the base64 of 32 bytes in its only form.
Secret decode(std::string_view text) {
  if (text.size() != WireguardKey::kTextSize || text.back() != '=') return {};
  unsigned char bytes[WireguardKey::kSize + 1];
  const int size = EVP_DecodeBlock(bytes, bytes_of(text), static_cast<int>(text.size()));
  Secret result;
  if (size == static_cast<int>(sizeof bytes))
    result = Secret({reinterpret_cast<const char*>(bytes), WireguardKey::kSize});
  OPENSSL_cleanse(bytes, sizeof bytes);
  if (result.empty()) return result;
  // OpenSSL takes blanks and bits that are not there.
  auto again = encode(result.reveal());
  if (!equal_constant_time(again, text)) result.wipe();
  wipe(again);
  return result;
}

bool is_zero(std::string_view bytes) {
  unsigned any = 0;
  for (const char byte : bytes) any |= static_cast<unsigned char>(byte);
  return any == 0;
}

KeyFile file_of(LoadedWireguardKey& loaded) {
  return {
      "the WireGuard key",
      "holds no WireGuard private key (44 characters, as \"wg genkey\" writes it); put the right file back, "
      "or remove it: a new key is made",
      "cannot make a WireGuard key: OpenSSL has no X25519",
      [&loaded](std::string_view text) {
        loaded.pair = WireguardKeyPair::parse(text);
        return loaded.pair.has_value();
      },
      [&loaded] {
        loaded.pair = WireguardKeyPair::generate();
        if (!loaded.pair) return Secret();
        std::string line = std::string(loaded.pair->private_text().reveal()) + "\n";
        Secret text(line);
        wipe(line);
        return text;
      }};
}

template <typename Load>
LoadedWireguardKey load(const std::string& path, Load load_file) {
  LoadedWireguardKey loaded;
  auto result = load_file(path, file_of(loaded));
  if (!result.problem.empty()) loaded.pair.reset();
  loaded.problem = std::move(result.problem);
  loaded.is_new = result.is_new;
  return loaded;
}

}  // namespace

std::optional<WireguardKey> WireguardKey::from_bytes(std::string_view bytes) {
  if (bytes.size() != kSize || is_zero(bytes)) return std::nullopt;
  WireguardKey key;
  std::memcpy(key.bytes.data(), bytes.data(), kSize);
  return key;
}

std::optional<WireguardKey> WireguardKey::parse(std::string_view text) {
  return from_bytes(decode(text).reveal());
}

std::string WireguardKey::to_string() const {
  return encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::optional<WireguardKeyPair> WireguardKeyPair::from_private(Secret bytes) {
  const Pkey key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, bytes_of(bytes.reveal()), bytes.reveal().size()),
      &EVP_PKEY_free);
  WireguardKeyPair pair;
  std::size_t size = pair.public_.bytes.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), pair.public_.bytes.data(), &size) != 1 ||
      size != WireguardKey::kSize)
    return std::nullopt;
  pair.private_ = std::move(bytes);
  return pair;
}

std::optional<WireguardKeyPair> WireguardKeyPair::generate() {
  std::array<std::uint8_t, WireguardKey::kSize> random;
  platform::random_bytes(random);
  // RFC 7748 section 5, as `wg genkey` does it: the file holds what the functions compute with.
  random[0] &= 248;
  random[31] = static_cast<std::uint8_t>((random[31] & 127) | 64);
  Secret bytes({reinterpret_cast<const char*>(random.data()), random.size()});
  OPENSSL_cleanse(random.data(), random.size());
  return from_private(std::move(bytes));
}

std::optional<WireguardKeyPair> WireguardKeyPair::parse(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  auto bytes = decode(text);
  if (bytes.empty() || is_zero(bytes.reveal())) return std::nullopt;
  return from_private(std::move(bytes));
}

Secret WireguardKeyPair::private_text() const {
  auto text = encode(private_.reveal());
  Secret secret(text);
  wipe(text);
  return secret;
}

LoadedWireguardKey load_wireguard_key(const std::string& path) {
  return load(path, load_key_file);
}

LoadedWireguardKey load_or_make_wireguard_key(const std::string& path) {
  return load(path, load_or_make_key_file);
}

}  // namespace sixlink::pki
