// SPDX-License-Identifier: BSD-3-Clause
// Small files: read with a bound, replaced as a whole.
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
enum class Durability {
  kSynced,  // on the disk, with its name, when the call returns
  kNone,    // a power cut soon after may leave the file empty
};
// Written beside (PATH.new), then given its name. The mode is 0600.
[[nodiscard]] boost::system::error_code write_small_file(const std::string& path, std::string_view text,
                                                         Existing existing,
                                                         Durability durability = Durability::kSynced);

}  // namespace sixlink::config
