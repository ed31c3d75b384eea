// SPDX-License-Identifier: BSD-3-Clause
// Directories that a configuration names.
#include "src/config/directory.h"

#include <sys/stat.h>

#include <cerrno>

namespace sixlink::config {

boost::system::error_code make_directory(const std::string& path, unsigned mode) {
  for (std::size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    const bool is_last = at == path.size();
    if (::mkdir(path.substr(0, at).c_str(), is_last ? mode : 0755) != 0 && errno != EEXIST) {
      return {errno, boost::system::system_category()};
    }
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {errno, boost::system::system_category()};
  if (!S_ISDIR(info.st_mode)) return boost::system::errc::make_error_code(boost::system::errc::not_a_directory);
  return {};
}

}  // namespace sixlink::config
