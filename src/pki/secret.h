// SPDX-License-Identifier: BSD-3-Clause
// A password or key in memory: wiped when it goes, never copied, never printed.
#pragma once

#include <openssl/crypto.h>

#include <string>
#include <string_view>
#include <utility>

namespace sixlink::pki {

// For what a caller keeps in a string until a Secret has it.
inline void wipe(std::string& text) {
  if (!text.empty()) OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

class Secret {
 public:
  Secret() = default;
  // Copies `text`; the caller wipes its own copy.
  explicit Secret(std::string_view text) : bytes_(text) {}
  // A moved std::string may leave its short text behind, so this copies and wipes.
  // NOLINTNEXTLINE(performance-move-constructor-init)
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { other.wipe(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe();
      bytes_ = other.bytes_;
      other.wipe();
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(); }

  // Valid until this object moves or ends.
  std::string_view reveal() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  // Needed where two owners must hold the same password; says so at the call.
  Secret duplicate() const { return Secret(bytes_); }

  void wipe() { pki::wipe(bytes_); }

 private:
  std::string bytes_;
};

// Equal without telling by its time where the first difference is.
inline bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace sixlink::pki
