// SPDX-License-Identifier: BSD-3-Clause
// The subject of a node's certificate: given with --req, or as it was.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "src/pki/certificate.h"
#include "src/pki/certificate_request.h"

namespace sixlink::client {

// Of `--req CN=router 7`: its field and value. nullopt: no "=" in it, or an empty side.
std::optional<std::pair<std::string, std::string>> parse_subject_field(std::string_view text);

// As it stands in a certificate; what has no short name is left out.
pki::Subject subject_of(const pki::Certificate& certificate);

}  // namespace sixlink::client
