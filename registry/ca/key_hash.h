// SPDX-License-Identifier: BSD-3-Clause
// What the registry's tables know keys, tokens and requests by.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/pki/certificate_request.h"

namespace sixlink::registry {

// 64 lower-case digits.
std::string sha256_text(std::string_view bytes);
// Of the request's public key (SubjectPublicKeyInfo).
std::string key_hash(const pki::CertificateRequest& request);
// The values of every CN in its subject.
std::vector<std::string> common_names(const pki::CertificateRequest& request);

// 160 bits, 32 letters and digits (RFC 4648 section 6, in lower case).
std::string make_token();
// Whether it may be one that make_token() made: nothing else is looked up.
bool looks_like_token(std::string_view text);

// 63 bits, not 0: one that no other registry of the network takes at the same time.
std::uint64_t make_serial();

}  // namespace sixlink::registry
