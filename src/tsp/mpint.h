// SPDX-License-Identifier: BSD-3-Clause
// Strings and numbers of PASSDSS-3DES-1's messages: uint32 length, then the bytes (RFC 4251 section 5). A
// number is the plain magnitude, big-endian: deployed peers never put a zero before it, also where SSH would.
#pragma once

#include <openssl/bn.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sixlink::tsp {

struct WipeNumber {
  void operator()(BIGNUM* number) const { BN_clear_free(number); }
};
using Number = std::unique_ptr<BIGNUM, WipeNumber>;
struct FreeNumberContext {
  void operator()(BN_CTX* context) const { BN_CTX_free(context); }
};
using NumberContext = std::unique_ptr<BN_CTX, FreeNumberContext>;

// Throws std::bad_alloc when OpenSSL has no memory.
Number make_number();
Number number_of(std::string_view magnitude);
std::string magnitude_of(const BIGNUM* number);

void append_uint32(std::string& out, std::uint32_t value);
void append_string(std::string& out, std::string_view bytes);

// Takes a message apart. Every read is bounded and says when it fails; views point into the message.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}
  std::optional<std::uint32_t> uint32();
  std::optional<std::string_view> bytes(std::size_t size);
  std::optional<std::string_view> string(std::size_t longest);
  // A number of 1 to `longest` bytes without a leading zero.
  std::optional<std::string_view> mpint(std::size_t longest);
  std::string_view rest() const { return rest_; }
  bool is_at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace sixlink::tsp
