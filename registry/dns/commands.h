// SPDX-License-Identifier: BSD-3-Clause
// `sixlink-registry dns ...`: how the names in DNS stand. Works on the database, whether the server runs or
// not.
#pragma once

#include <iosfwd>

#include "registry/options.h"

namespace sixlink::registry::dns {

// Returns the exit code.
int run_dns_command(const Options& options, std::ostream& out, std::ostream& err);

}  // namespace sixlink::registry::dns
