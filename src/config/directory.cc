// SPDX-License-Identifier: BSD-3-Clause
// Directories that a configuration names.
#include "src/config/directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace sixlink::config {

boost::system::error_code make_directory(const std::string& wanted, unsigned mode) {
  std::string path = wanted;
  // "/var/lib/sixlink/" is the same directory, and is to have `mode` as well.
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  for (std::size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    const bool is_last = at == path.size();
    if (::mkdir(path.substr(0, at).c_str(), is_last ? mode : 0755) != 0 && errno != EEXIST) {
      return {errno, boost::system::system_category()};
    }
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {errno, boost::system::system_category()};
  if (!S_ISDIR(info.st_mode))
    return boost::system::errc::make_error_code(boost::system::errc::not_a_directory);
  return {};
}

boost::system::error_code make_private_directory(const std::string& path, unsigned mode) {
  if (const auto error = make_directory(path, mode)) return error;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {errno, boost::system::system_category()};
  const bool is_ours = info.st_uid == ::geteuid() || info.st_uid == 0;
  if (!is_ours || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return boost::system::errc::make_error_code(boost::system::errc::operation_not_permitted);
  return {};
}

std::string explain_directory_error(const std::string& key, const std::string& path,
                                    const boost::system::error_code& error) {
  const std::string text = "cannot use " + key + "=" + path + ": ";
  if (error == boost::system::errc::operation_not_permitted) {
    return text +
           "other users may write to it; it must belong to the user that runs this program and be writable "
           "by no one else";
  }
  return text + error.message() + "; run as root, or set " + key + " in the configuration";
}

}  // namespace sixlink::config
