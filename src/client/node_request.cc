// SPDX-License-Identifier: BSD-3-Clause
// The subject of a node's certificate.
#include "src/client/node_request.h"

#include <algorithm>
#include <cctype>
#include <memory>

#include "src/pki/openssl_types.h"

namespace sixlink::client {

std::optional<std::pair<std::string, std::string>> parse_subject_field(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size()) return std::nullopt;
  const auto name = text.substr(0, equals);
  if (!std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '-'; }))
    return std::nullopt;
  return std::pair(std::string(name), std::string(text.substr(equals + 1)));
}

pki::Subject subject_of(const pki::Certificate& certificate) {
  const pki::ErrorScope errors;
  pki::Subject subject;
  const auto* const name = X509_get_subject_name(certificate.native());
  for (int at = 0; at < X509_NAME_entry_count(name); ++at) {
    const auto* const entry = X509_NAME_get_entry(name, at);
    const int field = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    unsigned char* utf8 = nullptr;
    const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
    if (size >= 0 && field != NID_undef)
      subject.emplace_back(OBJ_nid2sn(field),
                           std::string(reinterpret_cast<char*>(utf8), static_cast<std::size_t>(size)));
    if (size >= 0) OPENSSL_free(utf8);
  }
  return subject;
}

}  // namespace sixlink::client
