// SPDX-License-Identifier: BSD-3-Clause
// Why the mesh's registry does not do what it was asked: a code for programs, and words for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace sixlink::registry {

enum class RefusalCode : std::uint8_t {
  kBadRequest,
  kBadCertificateRequest,
  kTokenUnknown,
  kTokenExpired,
  kTokenUsed,
  kNotAllowed,
  kCertificateMissing,
  kCertificateRefused,
  kCertificateExpired,
  kRevoked,
  kKeyInUse,
  kOldContact,
  kNotFound,
  kNoPrefixLeft,
  kTooManyRequests,
  kBusy,
  kUnsupportedMethod,
  kInternal,
};
// "token_unknown", as the API has it; and HTTP's status (RFC 9110 section 15).
const char* to_string(RefusalCode code);
unsigned http_status(RefusalCode code);

struct Refusal {
  RefusalCode code = RefusalCode::kInternal;
  std::string message;  // what failed and why
  std::string hint;     // what to do
  std::chrono::seconds retry_after{0};
};

// T or why not.
template <typename T>
class Answer {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): `return refusal;` and `return value;`
  Answer(T value) : value_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Answer(Refusal refusal) : value_(std::in_place_index<1>, std::move(refusal)) {}

  explicit operator bool() const { return value_.index() == 0; }
  T& operator*() { return std::get<0>(value_); }
  const T& operator*() const { return std::get<0>(value_); }
  T* operator->() { return &std::get<0>(value_); }
  const T* operator->() const { return &std::get<0>(value_); }
  const Refusal& refusal() const { return std::get<1>(value_); }

 private:
  std::variant<T, Refusal> value_;
};

}  // namespace sixlink::registry
