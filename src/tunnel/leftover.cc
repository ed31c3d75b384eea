// SPDX-License-Identifier: BSD-3-Clause
// NAME.tunnel: what is to be undone after a death without goodbye.
#include "src/tunnel/leftover.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace sixlink::tunnel {
namespace {

constexpr std::string_view kTemplate = "TEMPLATE=";
constexpr std::size_t kLongest = 65536;

boost::system::error_code last_error() {
  return {errno, boost::system::system_category()};
}

// Only what a template may be told: never PATH, IFS or LD_PRELOAD, whatever stands in the file.
bool is_template_variable(std::string_view line) {
  const auto name = line.substr(0, line.find('='));
  return name.size() < line.size() && (name.starts_with("TSP_") || name.starts_with("SIXLINK_")) &&
         name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string_view::npos;
}

boost::system::error_code write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto size = ::write(fd, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return last_error();
    // A full disk may take a part first and say so only at the next call.
    if (size == 0) return boost::system::errc::make_error_code(boost::system::errc::no_space_on_device);
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return {};
}

// The file names a script that we run with our privileges: only one that this user, or root, wrote and nobody
// else can change is believed, also where run_dir is a directory that others may write to.
boost::system::result<std::string> read_own_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return last_error();
  std::string text;
  boost::system::error_code error;
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    error = last_error();
  } else if (!S_ISREG(info.st_mode) || (info.st_uid != ::geteuid() && info.st_uid != 0) ||
             (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    error = boost::system::errc::make_error_code(boost::system::errc::operation_not_permitted);
  }
  char buffer[4096];
  while (!error) {
    const auto size = ::read(fd, buffer, sizeof buffer);
    if (size == 0) break;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      error = last_error();
    } else if (text.append(buffer, static_cast<std::size_t>(size)).size() > kLongest) {
      error = boost::system::errc::make_error_code(boost::system::errc::file_too_large);
    }
  }
  ::close(fd);
  if (error) return error;
  return text;
}

}  // namespace

boost::system::error_code save_leftover(const std::string& path, const Leftover& leftover) {
  std::string text = std::string(kTemplate) + leftover.template_path + "\n";
  for (const auto& variable : leftover.environment) text += variable + "\n";
  // Renamed into place, so that a crash leaves the old one, the new one or none.
  const auto temporary = path + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return last_error();
  const auto error = write_all(fd, text);
  ::close(fd);
  if (error || std::rename(temporary.c_str(), path.c_str()) != 0) {
    const auto reason = error ? error : last_error();
    ::unlink(temporary.c_str());
    return reason;
  }
  return {};
}

boost::system::result<std::optional<Leftover>> load_leftover(const std::string& path) {
  const auto text = read_own_file(path);
  if (!text) {
    if (text.error() == boost::system::errc::no_such_file_or_directory) return std::optional<Leftover>();
    return text.error();
  }
  // Cut off in the middle of a line, its last value would be another one.
  if (!text->ends_with('\n')) return boost::system::errc::make_error_code(boost::system::errc::bad_message);
  // Blocks of zeros are what a crash leaves of a file; execve would take what stands before them for the
  // whole value.
  if (text->find('\0') != std::string::npos)
    return boost::system::errc::make_error_code(boost::system::errc::bad_message);
  Leftover leftover;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto newline = rest.find('\n');
    const auto line = rest.substr(0, newline);
    rest = newline == std::string_view::npos ? std::string_view() : rest.substr(newline + 1);
    if (line.starts_with(kTemplate)) {
      leftover.template_path = line.substr(kTemplate.size());
    } else if (is_template_variable(line)) {
      leftover.environment.emplace_back(line);
    } else {
      return boost::system::errc::make_error_code(boost::system::errc::bad_message);
    }
  }
  if (leftover.template_path.empty() || leftover.environment.empty())
    return boost::system::errc::make_error_code(boost::system::errc::bad_message);
  return std::optional(std::move(leftover));
}

}  // namespace sixlink::tunnel
