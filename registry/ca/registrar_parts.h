// SPDX-License-Identifier: BSD-3-Clause
// What registrar*.cc share.
#pragma once

#include <optional>
#include <string>

#include "registry/ca/registrar.h"

namespace sixlink::registry {

struct Registrar::NodeRow {
  net::Prefix prefix;
  std::optional<net::PrefixV4> prefix_v4;
  std::string key;
  pki::Certificate certificate;
  std::int64_t expires;
  bool is_revoked;
};

// For find_node().
inline constexpr const char* kNodeByKey =
    "SELECT prefix, prefix_v4, key_hash, certificate, expires, revoked FROM mesh_nodes WHERE key_hash = $1";
inline constexpr const char* kNodeByPrefix =
    "SELECT prefix, prefix_v4, key_hash, certificate, expires, revoked FROM mesh_nodes WHERE prefix = $1";

inline Database::Value or_null(const std::string& text) {
  return text.empty() ? Database::Value() : Database::Value(text);
}
inline Database::Value or_null(const std::optional<net::PrefixV4>& prefix) {
  return prefix ? Database::Value(prefix->to_string()) : Database::Value();
}

inline Refusal no_such_node() {
  return {RefusalCode::kNotFound, "the registry knows no such node", "join the network: sixlink join"};
}
inline Refusal unusable_authority() {
  return {RefusalCode::kInternal, "the registry has no authority that can sign",
          "its administrator finds out why in the registry's log"};
}

template <typename T>
Answer<T> Registrar::transact(const std::function<Answer<T>()>& body) {
  if (!database_.begin()) return failure();
  Answer<T> answer = body();
  // What was worked out from rows that could not be read is of no use.
  if (database_.has_failed()) {
    database_.rollback();
    prefixes_.forget();
    return failure();
  }
  if (!answer) {
    database_.rollback();
    prefixes_.forget();
    return answer;
  }
  if (database_.commit()) return answer;
  prefixes_.forget();
  return failure();
}

}  // namespace sixlink::registry
