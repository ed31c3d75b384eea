// SPDX-License-Identifier: BSD-3-Clause
// Directories that a configuration names.
#pragma once

#include <boost/system/error_code.hpp>
#include <string>

namespace sixlink::config {

// Makes `path` and its parents (0755, less the umask) where
// missing. not_a_directory when something else is there.
[[nodiscard]] boost::system::error_code make_directory(const std::string& path, unsigned mode = 0755);

// The same, for a directory whose files we trust when we find them again. operation_not_permitted when it
// belongs to another user or others may write to it: they could put files of their own into it.
[[nodiscard]] boost::system::error_code make_private_directory(const std::string& path, unsigned mode = 0755);

// What a person can do about it.
std::string explain_directory_error(const std::string& key, const std::string& path,
                                    const boost::system::error_code& error);

}  // namespace sixlink::config
