// SPDX-License-Identifier: BSD-3-Clause
// Prefixes and their texts.
#include "src/net/prefix.h"

#include <charconv>
#include <cstdio>

namespace sixlink::net {
namespace {

constexpr int kMappedBits = 96;  // RFC 4291 section 2.5.5.2

}  // namespace

AddressV6 mask(const AddressV6& address, int length) {
  auto bytes = address.to_bytes();
  for (int i = 0; i < 16; ++i) {
    const int kept = length - i * 8;
    if (kept >= 8) continue;
    const auto keep_mask = kept <= 0 ? 0 : (0xff00 >> kept) & 0xff;
    bytes[static_cast<size_t>(i)] = static_cast<unsigned char>(bytes[static_cast<size_t>(i)] & keep_mask);
  }
  return AddressV6(bytes);
}

std::optional<Prefix> Prefix::make(const AddressV6& address, int length) {
  if (length < 0 || length > 128 || mask(address, length) != address) return std::nullopt;
  return Prefix{address, length};
}

std::optional<Prefix> Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_v6(text.substr(0, slash));
  const auto digits = text.substr(slash + 1);
  int length = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (!address || error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return make(*address, length);
}

bool Prefix::contains(const AddressV6& other) const {
  return mask(other, length) == address;
}

bool Prefix::contains(const Prefix& other) const {
  return other.length >= length && contains(other.address);
}

std::string Prefix::to_string() const {
  return address.to_string() + "/" + std::to_string(length);
}

std::optional<PrefixV4> PrefixV4::make(const boost::asio::ip::address_v4& address, int length) {
  if (length < 0 || length > 32) return std::nullopt;
  const PrefixV4 prefix{address, length};
  return v4_mapped(prefix).address == mask(v4_mapped(prefix).address, length + kMappedBits)
             ? std::optional(prefix)
             : std::nullopt;
}

std::optional<PrefixV4> PrefixV4::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_v4(text.substr(0, slash));
  const auto digits = text.substr(slash + 1);
  int length = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (!address || error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return make(*address, length);
}

bool PrefixV4::contains(const boost::asio::ip::address_v4& other) const {
  return v4_mapped(*this).contains(v4_mapped({other, 32}).address);
}

std::string PrefixV4::to_string() const {
  return address.to_string() + "/" + std::to_string(length);
}

Prefix v4_mapped(const PrefixV4& prefix) {
  return {boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, prefix.address),
          prefix.length + kMappedBits};
}

std::optional<PrefixV4> unmapped(const Prefix& prefix) {
  if (prefix.length < kMappedBits || !prefix.address.is_v4_mapped()) return std::nullopt;
  return PrefixV4{boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, prefix.address),
                  prefix.length - kMappedBits};
}

std::string expanded_text(const AddressV6& address) {
  const auto bytes = address.to_bytes();
  char text[40];
  size_t used = 0;
  for (size_t i = 0; i < 16; i += 2) {
    used += static_cast<size_t>(std::snprintf(text + used, sizeof text - used, "%s%02x%02x",
                                              i == 0 ? "" : ":", bytes[i], bytes[i + 1]));
  }
  return std::string(text, used);
}

std::string covered_groups(const Prefix& prefix) {
  const size_t groups = (static_cast<size_t>(prefix.length) + 15) / 16;
  return groups == 0 ? std::string() : expanded_text(prefix.address).substr(0, groups * 5 - 1);
}

std::optional<AddressV6> parse_v6(std::string_view text) {
  // Longest form is 45 characters (with an embedded IPv4
  // address); the limit keeps hostile text from being copied.
  if (text.size() > 45 || text.find('%') != std::string_view::npos) return std::nullopt;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address_v6(std::string(text), error);
  if (error) return std::nullopt;
  return address;
}

bool is_inner_unicast(const AddressV6& address) {
  return !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() &&
         !address.is_link_local() && !address.is_v4_mapped();
}

std::optional<boost::asio::ip::address_v4> parse_v4(std::string_view text) {
  if (text.size() > 15) return std::nullopt;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address_v4(std::string(text), error);
  if (error) return std::nullopt;
  return address;
}

bool is_unicast(const boost::asio::ip::address_v4& address) {
  return !address.is_unspecified() && !address.is_multicast() &&
         address != boost::asio::ip::address_v4::broadcast();
}

}  // namespace sixlink::net
