// SPDX-License-Identifier: BSD-3-Clause
// The syntax of the configuration files.
#include "src/config/key_value.h"

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <memory>

namespace sixlink::config {
namespace {

constexpr std::size_t kLongestLine = 4096;

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The first word only: a mistyped line may hold a password.
std::string expected_message(std::string_view line) {
  const auto word = line.substr(0, line.find_first_of(" \t"));
  return "expected name=value, found \"" + std::string(word) + (word.size() < line.size() ? " ..." : "") +
         "\"";
}

}  // namespace

std::string to_string(const std::string& file, const Problem& problem) {
  std::string text = file;
  if (problem.line > 0) text += ":" + std::to_string(problem.line);
  text += ": ";
  if (!problem.key.empty()) text += problem.key + ": ";
  return text + problem.message;
}

ParsedFile parse_key_values(std::string_view text) {
  ParsedFile result;
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  int number = 0;
  while (!text.empty()) {
    const auto newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text = newline == std::string_view::npos ? std::string_view() : text.substr(newline + 1);
    ++number;
    if (line.size() > kLongestLine) {
      result.problems.push_back({number, {}, "the line is longer than 4096 bytes"});
      continue;
    }
    if (line.find('\0') != std::string_view::npos) {
      result.problems.push_back({number, {}, "the line holds a NUL byte; is this a text file?"});
      continue;
    }
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    const auto equals = line.find('=');
    const auto key = trim(line.substr(0, equals));
    if (equals == std::string_view::npos || key.empty()) {
      result.problems.push_back({number, {}, expected_message(line)});
      continue;
    }
    result.entries.push_back({number, lower_case(key), std::string(trim(line.substr(equals + 1)))});
  }
  return result;
}

bool parse_number(std::string_view text, long low, long high, long& out) {
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value < low ||
      value > high) {
    return false;
  }
  out = value;
  return true;
}

bool parse_yes_no(std::string_view text, bool& out) {
  const auto lower = lower_case(text);
  if (lower != "yes" && lower != "no") return false;
  out = lower == "yes";
  return true;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::vector<std::string_view> split_list(std::string_view text) {
  constexpr std::string_view kSeparators = " \t,";
  std::vector<std::string_view> parts;
  for (auto at = text.find_first_not_of(kSeparators); at != text.npos;) {
    const auto end = text.find_first_of(kSeparators, at);
    parts.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(kSeparators, end);
  }
  return parts;
}

bool is_template_name(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  for (const char c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-') return false;
  }
  return true;
}

boost::system::result<std::string> read_file(const std::string& path, std::size_t limit) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) return boost::system::error_code(errno, boost::system::system_category());
  std::string text;
  char buffer[4096];
  while (const auto count = std::fread(buffer, 1, sizeof buffer, file.get())) {
    text.append(buffer, count);
    if (text.size() > limit) return boost::system::errc::make_error_code(boost::system::errc::file_too_large);
  }
  if (std::ferror(file.get()))
    return boost::system::error_code(errno ? errno : EIO, boost::system::system_category());
  return text;
}

}  // namespace sixlink::config
