// SPDX-License-Identifier: BSD-3-Clause
// Directories that a configuration names.
#pragma once

#include <boost/system/error_code.hpp>
#include <string>

namespace sixlink::config {

// Makes `path` and its parents (0755, less the umask) where missing. not_a_directory when something else is there.
[[nodiscard]] boost::system::error_code make_directory(const std::string& path, unsigned mode = 0755);

}  // namespace sixlink::config
