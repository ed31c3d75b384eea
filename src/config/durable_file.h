// SPDX-License-Identifier: BSD-3-Clause
// Small files that must not be lost: read with a bound, replaced as a whole and on the disk when the call
// returns.
#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <string>
#include <string_view>

namespace sixlink::config {

// The whole content. A symbolic link, or anything but a regular file, is refused
// (too_many_symbolic_link_levels, not_supported): it may lead to what root alone may read. file_too_large
// above `most` bytes.
[[nodiscard]] boost::system::result<std::string> read_small_file(const std::string& path, std::size_t most);

enum class Existing {
  kReplace,  // readers find the old content or the new one; a symbolic link is replaced, not followed
  kKeep,     // file_exists: whatever is there stays
};
// Written beside (PATH.new), synced, then given its name; the directory is synced, too. The mode is 0600.
[[nodiscard]] boost::system::error_code write_durable_file(const std::string& path, std::string_view text,
                                                           Existing existing);

}  // namespace sixlink::config
