// SPDX-License-Identifier: BSD-3-Clause
// NAME.tunnel: what is to be undone after a death without goodbye.
#include "src/tunnel/leftover.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "src/config/key_value.h"

namespace sixlink::tunnel {
namespace {

constexpr std::string_view kTemplate = "TEMPLATE=";

boost::system::error_code last_error() { return {errno, boost::system::system_category()}; }

// Only what a template may be told: never PATH, IFS or LD_PRELOAD, whatever stands in the file.
bool is_template_variable(std::string_view line) {
  const auto name = line.substr(0, line.find('='));
  return name.size() < line.size() && (name.starts_with("TSP_") || name.starts_with("SIXLINK_")) &&
         name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string_view::npos;
}

}  // namespace

boost::system::error_code save_leftover(const std::string& path, const Leftover& leftover) {
  std::string text = std::string(kTemplate) + leftover.template_path + "\n";
  for (const auto& variable : leftover.environment) text += variable + "\n";
  // Renamed into place, so that a crash leaves the old one, the new one or none.
  const auto temporary = path + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return last_error();
  const bool is_written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const auto error = is_written ? boost::system::error_code() : last_error();
  ::close(fd);
  if (error || std::rename(temporary.c_str(), path.c_str()) != 0) {
    const auto reason = error ? error : last_error();
    ::unlink(temporary.c_str());
    return reason;
  }
  return {};
}

boost::system::result<std::optional<Leftover>> load_leftover(const std::string& path) {
  const auto text = config::read_file(path, 65536);
  if (!text) {
    if (text.error() == boost::system::errc::no_such_file_or_directory) return std::optional<Leftover>();
    return text.error();
  }
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
  if (leftover.template_path.empty() || leftover.environment.empty()) return boost::system::errc::make_error_code(boost::system::errc::bad_message);
  return std::optional(std::move(leftover));
}

}  // namespace sixlink::tunnel
