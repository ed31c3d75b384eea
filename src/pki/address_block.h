// SPDX-License-Identifier: BSD-3-Clause
// A prefix as the extension of a certificate, and back: RFC 3779 section 2.
#pragma once

#include <optional>

#include "src/net/prefix.h"
#include "src/pki/openssl_types.h"

namespace sixlink::pki {

// Critical (RFC 3779 section 2.1). nullptr: OpenSSL was built without it.
ExtensionPtr make_address_block(const net::Prefix& prefix);
// nullopt: there is none, it is not well formed, or anything but one IPv6 prefix.
std::optional<net::Prefix> address_block_of(const X509* certificate);

}  // namespace sixlink::pki
