// SPDX-License-Identifier: BSD-3-Clause
// E-mail addresses as a registry takes them.
#pragma once

#include <string_view>

namespace sixlink::registry {

// A mailbox of RFC 5321 section 4.1.2 without quotes, comments and literals, in ASCII: "a.b+c@example.net".
// Nothing that could end a header or an SMTP command.
bool is_email_address(std::string_view text);

}  // namespace sixlink::registry
