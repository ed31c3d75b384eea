// SPDX-License-Identifier: BSD-3-Clause
// WireGuard's keys outside of the protocol.
#include "src/pki/wireguard_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstring>
#include <memory>
#include <utility>

#include "platform/platform.h"
#include "src/config/directory.h"
#include "src/config/small_file.h"

namespace sixlink::pki {
namespace {

using Pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

constexpr std::size_t kLargestFile = 4096;

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

LoadedWireguardKey read_key(const std::string& path, std::string text) {
  LoadedWireguardKey loaded;
  loaded.pair = WireguardKeyPair::parse(text);
  wipe(text);
  if (!loaded.pair)
    loaded.problem = path +
                     " holds no WireGuard private key (44 characters, as \"wg genkey\" writes it); put the "
                     "right file back, or remove it: a new key is made";
  return loaded;
}

std::string cannot_read(const std::string& path, const boost::system::error_code& error) {
  return "cannot read the WireGuard key " + path + ": " + error.message();
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
  auto text = config::read_small_file(path, kLargestFile);
  if (text) return read_key(path, *std::move(text));
  LoadedWireguardKey loaded;
  loaded.problem = cannot_read(path, text.error());
  return loaded;
}

LoadedWireguardKey load_or_make_wireguard_key(const std::string& path) {
  LoadedWireguardKey loaded;
  auto text = config::read_small_file(path, kLargestFile);
  if (text) return read_key(path, *std::move(text));
  if (text.error() != boost::system::errc::no_such_file_or_directory) {
    loaded.problem = cannot_read(path, text.error());
    return loaded;
  }
  auto pair = WireguardKeyPair::generate();
  if (!pair) {
    loaded.problem = "cannot make a WireGuard key: OpenSSL has no X25519";
    return loaded;
  }
  const auto slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    const auto directory = path.substr(0, slash);
    if (const auto error = config::make_private_directory(directory)) {
      loaded.problem = "cannot write the WireGuard key " + path + ": " + error.message();
      return loaded;
    }
  }
  const auto secret = pair->private_text();
  std::string line = std::string(secret.reveal()) + "\n";
  const auto error = config::write_small_file(path, line, config::Existing::kKeep);
  wipe(line);
  if (error == boost::system::errc::file_exists) {
    // Another process of ours was quicker: its key counts.
    auto again = config::read_small_file(path, kLargestFile);
    if (again) return read_key(path, *std::move(again));
  }
  if (error) {
    loaded.problem = "cannot write the WireGuard key " + path + ": " + error.message();
    return loaded;
  }
  loaded.pair = std::move(pair);
  loaded.is_new = true;
  return loaded;
}

}  // namespace sixlink::pki
