// SPDX-License-Identifier: BSD-3-Clause
// Names in DNS: of addresses and prefixes in the reverse tree, and of users.
#include "registry/dns/zone_names.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "src/net/server_address.h"

namespace sixlink::registry::dns {
namespace {

constexpr std::string_view kReverseRoot = "ip6.arpa";
constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase32Hex = "0123456789abcdefghijklmnopqrstuv";
constexpr std::string_view kHashMark = "-x";
constexpr std::size_t kHashDigits = 26;  // 130 bits: nobody finds two names with the same

unsigned nibble(const net::AddressV6::bytes_type& bytes, int index) {
  const unsigned byte = bytes[static_cast<std::size_t>(index / 2)];
  return index % 2 == 0 ? byte >> 4 : byte & 0xfU;
}

// The first `count` nibbles, the last of them first.
std::string name_of_nibbles(const net::AddressV6& address, int count) {
  const auto bytes = address.to_bytes();
  std::string name;
  for (int i = count - 1; i >= 0; --i) {
    name += kHexDigits[nibble(bytes, i)];
    name += '.';
  }
  return name + std::string(kReverseRoot);
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

std::string hash_digits(std::string_view text) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string digits;
  for (std::size_t i = 0; i < kHashDigits; ++i) {
    unsigned value = 0;
    for (std::size_t bit = i * 5; bit < i * 5 + 5; ++bit)
      value = value << 1 | (digest[bit / 8] >> (7 - bit % 8) & 1U);
    digits += kBase32Hex[value];
  }
  return digits;
}

bool is_hashed_label(std::string_view label) {
  if (label.size() < kHashMark.size() + kHashDigits) return false;
  const auto tail = label.substr(label.size() - kHashDigits - kHashMark.size());
  return tail.starts_with(kHashMark) &&
         tail.find_first_not_of(kBase32Hex, kHashMark.size()) == std::string_view::npos;
}

bool is_label(std::string_view text) {
  if (text.empty() || text.size() > kLongestLabel || text.front() == '-' || text.back() == '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_letter_or_digit(c) || c == '-'; });
}

}  // namespace

std::string reverse_name(const net::AddressV6& address) {
  return name_of_nibbles(address, 32);
}

std::optional<std::string> reverse_zone(const net::Prefix& prefix) {
  if (prefix.length <= 0 || prefix.length > 128 || prefix.length % 4 != 0) return std::nullopt;
  return name_of_nibbles(prefix.address, prefix.length / 4);
}

std::optional<net::Prefix> prefix_of_zone(std::string_view zone) {
  const std::string name = canonical(zone);
  if (!name.ends_with("." + std::string(kReverseRoot))) return std::nullopt;
  const auto digits = std::string_view(name).substr(0, name.size() - kReverseRoot.size());  // "2.4.0."
  if (digits.size() % 2 != 0 || digits.size() / 2 > 32) return std::nullopt;
  net::AddressV6::bytes_type bytes{};
  const std::size_t count = digits.size() / 2;
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = kHexDigits.find(digits[2 * i]);
    if (value == std::string_view::npos || digits[2 * i + 1] != '.') return std::nullopt;
    const std::size_t index = count - 1 - i;
    bytes[index / 2] |= static_cast<unsigned char>(index % 2 == 0 ? value << 4 : value);
  }
  return net::Prefix{net::AddressV6(bytes), static_cast<int>(4 * count)};
}

std::vector<std::string> reverse_zones(const net::Prefix& prefix) {
  std::vector<std::string> zones;
  if (prefix.length <= 0 || prefix.length > 128) return zones;
  const int length = (prefix.length + 3) / 4 * 4;
  const unsigned count = 1U << (length - prefix.length);
  auto bytes = net::mask(prefix.address, prefix.length).to_bytes();
  const auto last = static_cast<std::size_t>(length / 4 - 1);  // the nibble that counts
  const auto before = bytes[last / 2];
  for (unsigned i = 0; i < count; ++i) {
    bytes[last / 2] = static_cast<unsigned char>(before | (last % 2 == 0 ? i << 4 : i));
    zones.push_back(name_of_nibbles(net::AddressV6(bytes), length / 4));
  }
  return zones;
}

bool is_within(std::string_view name, std::string_view zone) {
  if (!name.ends_with(zone)) return false;
  return name.size() == zone.size() || name[name.size() - zone.size() - 1] == '.';
}

std::string canonical(std::string_view name) {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  std::string text(name);
  std::transform(text.begin(), text.end(), text.begin(), lower);
  return text;
}

bool is_domain_name(std::string_view text) {
  if (!net::is_host_name(text)) return false;
  const std::string name = canonical(text);
  if (name.find('_') != std::string::npos || name.find('.') == std::string::npos) return false;
  // A last label of digits is what tells an address, right or mistyped, from a name.
  const auto last = std::string_view(name).substr(name.rfind('.') + 1);
  return last.find_first_not_of("0123456789") != std::string_view::npos;
}

std::string user_label(std::string_view user) {
  if (is_label(user) && !is_hashed_label(user)) return std::string(user);
  const std::size_t room = kLongestLabel - kHashMark.size() - kHashDigits;
  std::string label;
  for (const char c : user) {
    if (label.size() == room) break;
    if (is_letter_or_digit(lower(c))) {
      label += lower(c);
    } else if (!label.empty() && label.back() != '-') {
      label += '-';
    }
  }
  while (!label.empty() && label.back() == '-') label.pop_back();
  if (label.empty()) label = "user";
  return label + std::string(kHashMark) + hash_digits(user);
}

}  // namespace sixlink::registry::dns
