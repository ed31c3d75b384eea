// SPDX-License-Identifier: BSD-3-Clause
// `sixlink-registry user ...`: the users in the registry's database. The server may run at the same time.
#pragma once

#include <boost/system/result.hpp>
#include <iosfwd>
#include <string>
#include <string_view>

#include "registry/options.h"

namespace sixlink::registry {

// 1 to 64 printable ASCII characters without blanks, quotes, backslash and colon: what DIGEST-MD5 and PLAIN
// can both carry.
bool is_user_name(std::string_view name);
// 1 to 256 bytes without NUL, CR and LF.
bool is_password(std::string_view password);

// The 16 bytes MD5(name ":" realm ":" password): RFC 2831 section 2.1.2.1, H({username, realm, passwd}).
// Fails where OpenSSL refuses MD5 (FIPS mode).
boost::system::result<std::string> password_hash(std::string_view name, std::string_view realm,
                                                 std::string_view password);

// Runs one of the user commands. A password is read from --password-file, else from `input`: asked twice
// without echo when that is a terminal, else its first line. Returns the exit code.
int run_user_command(const Options& options, int input, std::ostream& out, std::ostream& err);

}  // namespace sixlink::registry
