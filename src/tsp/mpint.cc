// SPDX-License-Identifier: BSD-3-Clause
// Strings and numbers of PASSDSS-3DES-1's messages.
#include "src/tsp/mpint.h"

#include <new>

namespace sixlink::tsp {

Number make_number() {
  Number number(BN_new());
  if (!number) throw std::bad_alloc();
  return number;
}

Number number_of(std::string_view magnitude) {
  Number number(BN_bin2bn(reinterpret_cast<const unsigned char*>(magnitude.data()),
                          static_cast<int>(magnitude.size()), nullptr));
  if (!number) throw std::bad_alloc();
  return number;
}

std::string magnitude_of(const BIGNUM* number) {
  std::string bytes(static_cast<std::size_t>(BN_num_bytes(number)), '\0');
  BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
  return bytes;
}

void append_uint32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xffU);
}

void append_string(std::string& out, std::string_view bytes) {
  append_uint32(out, static_cast<std::uint32_t>(bytes.size()));
  out += bytes;
}

std::optional<std::uint32_t> WireReader::uint32() {
  const auto four = bytes(4);
  if (!four) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : *four) value = value << 8 | static_cast<std::uint8_t>(c);
  return value;
}

std::optional<std::string_view> WireReader::bytes(std::size_t size) {
  if (size > rest_.size()) return std::nullopt;
  const auto taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

std::optional<std::string_view> WireReader::string(std::size_t longest) {
  const auto size = uint32();
  return size && *size <= longest ? bytes(*size) : std::nullopt;
}

std::optional<std::string_view> WireReader::mpint(std::size_t longest) {
  const auto magnitude = string(longest);
  return magnitude && !magnitude->empty() && magnitude->front() != '\0' ? magnitude : std::nullopt;
}

}  // namespace sixlink::tsp
